"""The compatibility methods by name; a new one is a new file and a row here. Naming them costs no
torch.

"bct+csd" is the sum of two, see `making`.
"""

from typing import TYPE_CHECKING

from cmpc_base.registry import Registry

if TYPE_CHECKING:
    from cmpc_search.compatibility.base import Method

__all__ = ["METHODS", "PLUS"]

METHODS: "Registry[type[Method]]" = Registry(
    "compatibility method",
    {
        "bct": "cmpc_search.compatibility.bct:BackwardCompatible",
        "cross-role": "cmpc_search.compatibility.cross_role:CrossRole",
        "csd": "cmpc_search.compatibility.csd:ContextualSimilarity",
        "d3still": "cmpc_search.compatibility.d3still:D3still",
        "independent": "cmpc_search.compatibility.bct:Independent",
        "raml": "cmpc_search.compatibility.raml:Raml",
        "regression": "cmpc_search.compatibility.regression:Regression",
        "ssp": "cmpc_search.compatibility.ssp:StructureSimilarity",
    },
)

PLUS = "+"
"""Stands between the names of a sum's parts."""
