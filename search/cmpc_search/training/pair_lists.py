"""Which images can be a pair in the training of a gallery network, listed once.

    of its data set     an image of each role of a class, query first
    of further sets     any two images of a class, whatever set and role they are of
    instances           an image of no known class, with itself

Further data sets bring other pictures of the training classes, and other classes.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmpc_search.data import ImageSet, further_classes
from cmpc_search.errors import BadData

__all__ = ["Pair", "PairList", "list_pairs"]

ROLES = ("query", "gallery")
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pair:
    """A class, and where the images are that can stand on each side.

    Positions count on through the data sets, in their order.
    """

    label: int
    queries: Positions
    partners: Positions

    @property
    def is_of_one_pool(self) -> bool:
        """Whether both sides draw from the same images, and should get two of them."""
        return self.queries is self.partners


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PairList:
    """All pairs, and how many classes of each kind they are of: labels count on in this order."""

    pairs: list[Pair]
    num_classes: int
    num_further_classes: int = 0
    num_instances: int = 0

    @property
    def num_labels(self) -> int:
        return self.num_classes + self.num_further_classes + self.num_instances


def list_pairs(
    image_set: ImageSet,
    further: Sequence[ImageSet],
    *,
    with_instances: bool,
    further_share: float = 1.0,
) -> PairList:
    """List the pairs of a data set and of further ones.

    Those of the data set itself are listed several times where those of further ones would be more
    than ``further_share`` of all.

    Raises:
        BadData: fewer than two training classes of ``image_set`` have images of both roles.
    """
    by_roles, label_of = _of_both_roles(image_set)
    num_classes = len(label_of)
    of_pools = [
        Pair(label=label_of.setdefault(key, len(label_of)), queries=pool, partners=pool)
        for key, pool in _pools(image_set, further)
    ]
    alone = _of_no_class((image_set, *further)) if with_instances else ()
    instances = [
        Pair(label=number, queries=one, partners=one)
        for number, one in enumerate(alone, start=len(label_of))
    ]
    num_own = sum(int(pair.queries[0]) < len(image_set) for pair in instances)
    own, others = [*by_roles, *instances[:num_own]], [*of_pools, *instances[num_own:]]
    times = max(1, round(len(others) * (1 - further_share) / (further_share * len(own))))
    return PairList(
        pairs=own * times + others,
        num_classes=num_classes,
        num_further_classes=len(label_of) - num_classes,
        num_instances=len(instances),
    )


def _of_both_roles(image_set: ImageSet) -> tuple[list[Pair], dict[str, int]]:
    """Return the pairs of a set's own training classes, and the label of each class by its key."""
    by_role = [_by_class(image_set, role) for role in ROLES]
    classes = sorted(set().union(*by_role))
    pairs = [
        Pair(label=label, queries=by_role[0][name], partners=by_role[1][name])
        for label, name in enumerate(classes)
        if all(name in images for images in by_role)
    ]
    if len(pairs) < 2:
        raise BadData(
            "at least two training classes must have images of both roles, "
            f"got {len(pairs)} of {len(classes)}"
        )
    return pairs, {image_set.class_keys[name]: label for label, name in enumerate(classes)}


def _by_class(image_set: ImageSet, role: str) -> dict[int, Positions]:
    """Return the positions of the training images of a role, by class."""
    positions = image_set.select(split="train", role=role)
    labels = image_set.labels[positions]
    return {int(label): positions[labels == label] for label in image_set.labels_in(positions)}


def _pools(image_set: ImageSet, further: Sequence[ImageSet]) -> list[tuple[str, Positions]]:
    """Return the images of each class that further sets show, of all sets, by the class's key."""
    shown = further_classes(image_set, further)
    found: dict[str, list[int]] = defaultdict(list)
    for one, first in _with_offsets((image_set, *further)):
        positions = one.select(split="train")
        for position in positions[one.has_class[positions]]:
            key = one.class_keys[one.labels[position]]
            if key in shown:
                found[key].append(first + int(position))
    return [
        (key, np.array(positions, np.int64))
        for key, positions in sorted(found.items())
        if len(positions) > 1
    ]


def _of_no_class(image_sets: Sequence[ImageSet]) -> Iterator[Positions]:
    """Yield the position of each training image of no known class, as an array of its own."""
    for image_set, first in _with_offsets(image_sets):
        positions = image_set.select(split="train")
        yield from first + positions[~image_set.has_class[positions], None]


def _with_offsets(image_sets: Sequence[ImageSet]) -> Iterator[tuple[ImageSet, int]]:
    """Yield each set with the position of its first image among those of all."""
    first = 0
    for image_set in image_sets:
        yield image_set, first
        first += len(image_set)
