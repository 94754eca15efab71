"""What makes a query network compatible with a gallery: one method a file, chosen by name.

base.py       the promise: needs, settings, losses on a step
bank.py       what a method may ask of the gallery side
sums.py       methods side by side
catalogue.py  the methods by name
"""

from cmpc_search.compatibility.bank import GalleryBank
from cmpc_search.compatibility.base import NO_LABEL, Method, Need, Step
from cmpc_search.compatibility.catalogue import METHODS, make_method
from cmpc_search.compatibility.sums import Sum

__all__ = ["METHODS", "NO_LABEL", "GalleryBank", "Method", "Need", "Step", "Sum", "make_method"]
