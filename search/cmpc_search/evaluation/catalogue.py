"""The protocols by name; a new one is a new file and a row here. Naming them costs no Numba."""

from typing import TYPE_CHECKING

from cmpc_base.registry import Registry

if TYPE_CHECKING:
    from cmpc_search.evaluation.base import Protocol

__all__ = ["PROTOCOLS"]

PROTOCOLS: "Registry[type[Protocol]]" = Registry(
    "protocol",
    {
        "open-set": "cmpc_search.evaluation.open_set:OpenSet",
        "templates": "cmpc_search.evaluation.templates:Templates",
        "verification": "cmpc_search.evaluation.verification:Verification",
    },
)
