"""The gallery networks by name; a new one is a shape and a row here. Naming them costs no torch."""

from typing import TYPE_CHECKING

from cmpc_base.registry import Registry

if TYPE_CHECKING:
    from cmpc_search.networks.gallery.base import GalleryShape

__all__ = ["GALLERY_NETWORKS"]

GALLERY_NETWORKS: "Registry[GalleryShape]" = Registry(
    "gallery network",
    {
        "efficientnet-lite0": "cmpc_search.networks.gallery.efficientnet:EFFICIENTNET_LITE0",
        "efficientnet-lite1": "cmpc_search.networks.gallery.efficientnet:EFFICIENTNET_LITE1",
        "efficientnet-lite2": "cmpc_search.networks.gallery.efficientnet:EFFICIENTNET_LITE2",
        "residual-small": "cmpc_search.networks.gallery.residual:RESIDUAL_SMALL",
        "resnet18": "cmpc_search.networks.gallery.residual:RESNET18",
        "resnet50": "cmpc_search.networks.gallery.residual:RESNET50",
        "resnet101": "cmpc_search.networks.gallery.residual:RESNET101",
    },
)
