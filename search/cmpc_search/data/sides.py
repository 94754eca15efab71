"""Which split and which side is each item on, where its source leaves that to the seed?"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmpc_search.data.image_set import SPLITS
from cmpc_search.data.items import OPEN, Items
from cmpc_search.data.splits import MIN_CLASSES, assign_roles, split_classes
from cmpc_search.errors import BadData

__all__ = ["Sides", "decide_sides"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sides:
    """Where each of N items stands.

    Attributes:
        split: int8 [N], positions in SPLITS.
        is_query: bool [N].
    """

    split: npt.NDArray[np.int8]
    is_query: npt.NDArray[np.bool_]


def decide_sides(name: str, items: Items, *, seed: int) -> Sides:
    """Settle the splits and roles that the source called ``name`` left open.

    Raises:
        BadData: a split has too few classes.
    """
    split = items.splits
    if (split == OPEN).any():
        split = _split(name, items, seed)[items.labels]
    if (items.roles == OPEN).any():
        # Within a class and a split: each side of a closed set's split gets its queries.
        groups = items.labels * len(SPLITS) + split
        is_query = assign_roles(items.item_names, groups, seed=seed)
    else:
        is_query = items.roles == 1
    _check_sides(name, items.labels, split, is_query)
    return Sides(split=split, is_query=is_query)


def _split(name: str, items: Items, seed: int) -> npt.NDArray[np.int8]:
    try:
        return split_classes(items.class_keys, seed=seed)
    except BadData as error:
        dropped = f"; {items.drops.describe()}" if items.drops.total else ""
        raise BadData(f"{name} is too small: {error}{dropped}") from error


def _check_sides(
    name: str,
    labels: npt.NDArray[np.int64],
    split: npt.NDArray[np.int8],
    is_query: npt.NDArray[np.bool_],
) -> None:
    """Refuse a split in which every network would score alike."""
    counts = {}
    for position, split_name in enumerate(SPLITS):
        is_here = split == position
        asked, answered = (set(labels[is_here & side].tolist()) for side in (is_query, ~is_query))
        counts[split_name] = len(asked & answered)
    if min(counts.values()) < MIN_CLASSES:
        shown = ", ".join(f"{split_name} {count}" for split_name, count in counts.items())
        raise BadData(
            f"every split of {name} must have at least {MIN_CLASSES} classes with query and "
            f"gallery images, got {shown}; with fewer, every network scores alike: add classes"
        )
