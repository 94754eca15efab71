"""Which classes may training see, and which images are queries, when the source does not say.

Both are seeded permutations, and both order names by a hash of seed and name instead of drawing
from a generator: the answer is the same on every machine and library version, and one class more
or less moves at most a few others across a border instead of reshuffling all.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmpc_search.data.base import SPLITS
from cmpc_search.errors import BadArgument, BadData

__all__ = ["QUERY_SHARE", "SplitFractions", "assign_roles", "split_classes"]

QUERY_SHARE = 1 / 3
"""Part of each class that asks, where the source has no roles: at least one image, never all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitFractions:
    """Parts of the classes that are kept from training; the rest is trained on."""

    validation: float = 0.1
    test: float = 1 / 3

    def __post_init__(self) -> None:
        if not (self.validation > 0 and self.test > 0 and self.validation + self.test < 1):
            raise BadArgument(
                "`0 < validation`, `0 < test` and `validation + test < 1` must hold, "
                f"got validation={self.validation:g} and test={self.test:g}"
            )


def split_classes(
    class_names: Sequence[str], *, seed: int, fractions: SplitFractions
) -> npt.NDArray[np.int8]:
    """Return for each class its position in SPLITS."""
    num_classes = len(class_names)
    num_test = round(num_classes * fractions.test)
    num_validation = round(num_classes * fractions.validation)
    sizes = (num_classes - num_test - num_validation, num_validation, num_test)
    if min(sizes) < 1:
        shown = ", ".join(f"{name} {size}" for name, size in zip(SPLITS, sizes, strict=True))
        raise BadData(
            f"every split must get a class, got {shown} from {num_classes} classes; "
            "add classes or change the fractions"
        )
    order = _seeded_order(class_names, seed=seed, purpose="split")
    split = np.empty(num_classes, dtype=np.int8)
    split[order] = np.repeat(np.arange(3, dtype=np.int8), sizes)
    return split


def assign_roles(
    item_names: Sequence[str], groups: npt.NDArray[np.int64], *, seed: int
) -> npt.NDArray[np.bool_]:
    """Return for each image whether it is a query: QUERY_SHARE of each group of two or more."""
    order = _seeded_order(item_names, seed=seed, purpose="role")
    by_class = order[np.argsort(groups[order], kind="stable")]
    sizes = np.bincount(groups)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    num_queries = np.clip(np.rint(sizes * QUERY_SHARE), 1, np.maximum(sizes - 1, 0))
    is_query = np.empty(len(item_names), dtype=np.bool_)
    is_query[by_class] = np.arange(len(item_names)) - starts < np.repeat(num_queries, sizes)
    return is_query


def _seeded_order(names: Sequence[str], *, seed: int, purpose: str) -> npt.NDArray[np.int64]:
    """Return the positions of the names in an order that only the seed and the names decide."""
    keys = [hashlib.sha256(f"{purpose}/{seed}/{name}".encode()).digest() for name in names]
    return np.array(sorted(range(len(names)), key=keys.__getitem__), dtype=np.int64)
