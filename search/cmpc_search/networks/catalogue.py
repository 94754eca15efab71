"""The gallery networks by name; a new one is a shape and a row here. Naming them costs no torch."""

from typing import TYPE_CHECKING

from cmpc_base.registry import Registry

if TYPE_CHECKING:
    from cmpc_search.networks.residual import ResidualShape

__all__ = ["GALLERY_NETWORKS"]

GALLERY_NETWORKS: "Registry[ResidualShape]" = Registry(
    "gallery network",
    {
        "residual-small": "cmpc_search.networks.residual:RESIDUAL_SMALL",
        "resnet18": "cmpc_search.networks.residual:RESNET18",
        "resnet50": "cmpc_search.networks.residual:RESNET50",
        "resnet101": "cmpc_search.networks.residual:RESNET101",
    },
)
