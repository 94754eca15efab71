"""The kinds of sites by name; a new one is a new file and a row here."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cmpc_base.registry import Registry

if TYPE_CHECKING:
    from cmpc_cost_models.sites.base import Site

__all__ = ["SITES", "open_site"]

SITES: "Registry[type[Site]]" = Registry(
    "site",
    {
        "here": "cmpc_cost_models.sites.here:HereSite",
        "rpc": "cmpc_cost_models.sites.rpc:RpcSite",
        "emulated": "cmpc_cost_models.sites.emulated:EmulatedSite",
    },
)


def open_site(document: Mapping[str, Any]) -> "Site":
    """Open the site that a request describes: its ``kind``, and what that kind is made with.

    Raises:
        DeviceUnreachable: nobody answers there.
    """
    return SITES.load(document["kind"]).from_json(document)
