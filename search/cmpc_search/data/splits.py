"""Which classes may training see, and which images are queries, when the source does not say.

Test classes are fixed: a hash of the class's key alone decides, so a class is a test class in
every data set that has it, under every seed, and whatever else is there. Numbers told on test
classes can then be compared, and a gallery network can't have learnt what another set tests. The
seed divides the other classes into training and validation, again by a hash of each key.

Hashes of seed and name stand in for a random generator: the answer is the same on every machine
and library version, and a class more or less moves none of the others. Only where a set is so
small that its hashes miss a share by half is it filled up, or cut, in the order of the hashes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmpc_search.data.hash_order import drawn, ordered
from cmpc_search.data.image_set import NO_CLASS, SPLITS
from cmpc_search.data.items import OPEN, Items
from cmpc_search.errors import BadData

__all__ = [
    "ENOUGH_VALIDATION_CLASSES",
    "assign_roles",
    "decide_sides",
    "split_classes",
]

TEST_SHARE, VALIDATION_SHARE = 1 / 3, 0.2
"""Parts of the classes that are kept from training; the rest is trained on."""

QUERY_SHARE = 1 / 3
"""Part of each class that asks, where the source has no roles: at least one image, never all."""

MIN_CLASSES = 2
"""Classes that a split must have: with one, whatever is found is right, for every network."""

ENOUGH_VALIDATION_CLASSES = 10
"""Small sets validate on so many classes, but on no more than a third of those that don't test.

Chance is then one in ten; below it, two networks are told apart by a handful of answers.
"""

TRAIN, VALIDATION, TEST = range(len(SPLITS))


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
        split[items.labels == NO_CLASS] = TRAIN
    has_roles = not (items.roles == OPEN).any()
    is_query = items.roles == 1 if has_roles else _drawn_roles(items, split, seed)
    _check_sides(name, items.labels, split, is_query)
    return Sides(split=split, is_query=is_query)


def _drawn_roles(items: Items, split: npt.NDArray[np.int8], seed: int) -> npt.NDArray[np.bool_]:
    """Draw queries within a class and a split: each side of a closed set's split gets some.

    What has no class can be no query's answer, but it may be found: it stands in the gallery.
    """
    is_query = np.zeros(len(items), dtype=np.bool_)
    of_classes = np.flatnonzero(items.labels != NO_CLASS)
    groups = items.labels[of_classes] * len(SPLITS) + split[of_classes]
    names = [items.item_names[position] for position in of_classes]
    is_query[of_classes] = assign_roles(names, groups, seed=seed)
    return is_query


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
    """Refuse a split in which every network would score alike; data that only test have one."""
    counts = {}
    only_tests = (split == TEST).all()
    for position, split_name in enumerate(SPLITS):
        if only_tests and position != TEST:
            continue
        is_here = (split == position) & (labels != NO_CLASS)
        asked, answered = (set(labels[is_here & side].tolist()) for side in (is_query, ~is_query))
        counts[split_name] = len(asked & answered)
    if min(counts.values()) < MIN_CLASSES:
        shown = ", ".join(f"{split_name} {count}" for split_name, count in counts.items())
        raise BadData(
            f"every split of {name} must have at least {MIN_CLASSES} classes with query and "
            f"gallery images, got {shown}; with fewer, every network scores alike: add classes"
        )


def split_classes(class_keys: Sequence[str], *, seed: int) -> npt.NDArray[np.int8]:
    """Return for each class its position in SPLITS, int8 [C].

    Raises:
        BadData: there are too few classes for three splits.
    """
    num_classes = len(class_keys)
    if num_classes < len(SPLITS) * MIN_CLASSES:
        raise BadData(
            f"each of {', '.join(SPLITS)} must get at least {MIN_CLASSES} classes, which takes "
            f"{len(SPLITS) * MIN_CLASSES}, got {num_classes} usable classes; add classes of two "
            "or more different images each"
        )
    split = np.full(num_classes, TRAIN, dtype=np.int8)
    spare = num_classes - 2 * MIN_CLASSES  # what training and validation need at least
    split[drawn(class_keys, "test", TEST_SHARE, least=MIN_CLASSES, most=spare)] = TEST
    rest = np.flatnonzero(split != TEST)
    chosen = drawn(
        [class_keys[position] for position in rest.tolist()],
        f"validation/{seed}",
        VALIDATION_SHARE / (1 - TEST_SHARE),
        least=max(MIN_CLASSES, min(ENOUGH_VALIDATION_CLASSES, len(rest) // 3)),
        most=len(rest) - MIN_CLASSES,
    )
    split[rest[chosen]] = VALIDATION
    return split


def assign_roles(
    item_names: Sequence[str], groups: npt.NDArray[np.int64], *, seed: int
) -> npt.NDArray[np.bool_]:
    """Return for each image whether it is a query: QUERY_SHARE of each group of two or more."""
    order = ordered(item_names, f"role/{seed}")
    by_class = order[np.argsort(groups[order], kind="stable")]
    sizes = np.bincount(groups)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    num_queries = np.clip(np.rint(sizes * QUERY_SHARE), 1, np.maximum(sizes - 1, 0))
    is_query = np.empty(len(item_names), dtype=np.bool_)
    is_query[by_class] = np.arange(len(item_names)) - starts < np.repeat(num_queries, sizes)
    return is_query
