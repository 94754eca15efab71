"""What makes a query network compatible with a gallery: one loss a file, chosen by name."""

from cmpc_search.compatibility.base import Batch, CompatibilityMethod
from cmpc_search.compatibility.catalogue import METHODS, make_method

__all__ = ["METHODS", "Batch", "CompatibilityMethod", "make_method"]
