"""The compatibility methods by name; a new one is a new file and a row here. Naming them costs no
torch.
"""

from typing import TYPE_CHECKING

from cmpc_base.registry import Registry

if TYPE_CHECKING:
    from cmpc_search.compatibility.base import Method

__all__ = ["METHODS"]

METHODS: "Registry[type[Method]]" = Registry(
    "compatibility method",
    {
        "bct": "cmpc_search.compatibility.bct:BackwardCompatible",
        "bct-regression": "cmpc_search.compatibility.regression:BctRegression",
        "independent": "cmpc_search.compatibility.bct:Independent",
        "regression": "cmpc_search.compatibility.regression:Regression",
    },
)
