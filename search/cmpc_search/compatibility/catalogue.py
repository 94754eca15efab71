"""The compatibility methods by name. A new one is a new file and a row here."""

from collections.abc import Callable

from torch import Tensor

from cmpc_base.errors import UnknownName
from cmpc_search.compatibility.base import CompatibilityMethod
from cmpc_search.compatibility.bct import BackwardCompatible, Independent
from cmpc_search.compatibility.regression import Regression, RegressionWithBct

__all__ = ["METHODS", "make_method"]

METHODS: dict[str, Callable[[Tensor], CompatibilityMethod]] = {
    "bct": BackwardCompatible,
    "bct-regression": RegressionWithBct,
    "independent": Independent,
    "regression": lambda _: Regression(),
}


def make_method(name: str, gallery_directions: Tensor) -> CompatibilityMethod:
    """Return the method ``name`` for a gallery classifier with directions float32 [C, D].

    Raises:
        UnknownName: no method is called ``name``.
    """
    if name not in METHODS:
        raise UnknownName.among(METHODS, "compatibility method", name)
    return METHODS[name](gallery_directions)
