"""Which gallery items look like these pictures? From pictures to named neighbours.

    files, or items of a data set --> Item --> bundle --> embeddings --> index --> Answer

What is found depends on the index alone: the name of an item is data and is never opened as a
file. Only the data set that the user names knows pictures and classes of items.

A neighbour is right if it is of the query's class. That is known only where a data set tells the
classes of both; elsewhere `is_right` is None, and nothing is claimed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmpc_base.files import is_file
from cmpc_base.printable import printable
from cmpc_kernels import Neighbours
from cmpc_search.data import NO_CLASS, ImageSet, load_image
from cmpc_search.errors import BadArgument

__all__ = [
    "Answer",
    "Found",
    "Item",
    "KnownItems",
    "answers",
]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Item:
    """Something that has a name; its picture, uint8 [S, S, 3], and its class as far as known."""

    name: str
    image: npt.NDArray[np.uint8] | None = None
    class_name: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Found:
    """A gallery item that a query found, and whether it is of the query's class."""

    item: Item
    score: float
    is_right: bool | None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Answer:
    """What one query found, nearest first."""

    query: Item
    found: tuple[Found, ...]


class KnownItems:
    """What a data set, if there is one, knows of items by their names."""

    def __init__(
        self, image_set: ImageSet | None, *, size_px: int, crop_share: float | None = None
    ) -> None:
        self.image_set, self.size_px, self.crop_share = image_set, size_px, crop_share
        names = image_set.item_names if image_set else ()
        self.positions = {name: position for position, name in enumerate(names)}

    def find(self, name: str) -> Item:
        """Return what the data set knows of an item; elsewhere that is the name alone."""
        if self.image_set is not None and name in self.positions:
            return self.item_at(self.image_set, self.positions[name])
        return Item(name=name)

    def query(self, name: str) -> Item:
        """Return an item of the data set or, where it has none of this name, a picture file."""
        item = self.find(name)
        if item.image is None and is_file(Path(name)):
            image = load_image(Path(name), self.size_px, self.crop_share)
            return Item(name=printable(name), image=image)
        return item

    def queries(self, names: Sequence[str]) -> list[Item]:
        """Return pictures to ask with; each name must have one."""
        found = [self.query(name) for name in names]
        if missing := [item.name for item in found if item.image is None]:
            items = f"an item of {self.image_set.name}" if self.image_set else "an item of --data"
            raise BadArgument(
                f"a query must be a picture file or {items}, got {', '.join(missing)}"
            )
        return found

    def draw(self, count: int, *, seed: int) -> list[Item]:
        """Draw queries at random from the test classes of the data set."""
        if self.image_set is None:
            raise BadArgument("a sample must come from a data set, got none; name one with --data")
        candidates = self.image_set.select(split="test", role="query")
        if count > len(candidates):
            raise BadArgument(
                f"a sample must have at most the {len(candidates)} test queries of "
                f"{self.image_set.name}, got {count}"
            )
        drawn = np.random.default_rng(seed).choice(candidates, count, replace=False)
        return [self.item_at(self.image_set, int(position)) for position in drawn]

    @staticmethod
    def item_at(image_set: ImageSet, position: int) -> Item:
        """Return one item of a data set."""
        label = int(image_set.labels[position])
        return Item(
            name=image_set.item_names[position],
            image=image_set.images[position],
            class_name=None if label == NO_CLASS else image_set.class_names[label],
        )


def answers(
    queries: Sequence[Item],
    neighbours: Neighbours,
    item_names: Mapping[int, str] | Sequence[str] | None,
    known: KnownItems,
) -> list[Answer]:
    """Name what the index found for each query, by id, and say what is known about it."""
    return [
        Answer(query=query, found=tuple(found_items(query, scores, ids, item_names, known)))
        for query, scores, ids in zip(queries, neighbours.scores, neighbours.ids, strict=True)
    ]


def found_items(
    query: Item,
    scores: npt.NDArray[np.float32],
    ids: npt.NDArray[np.int64],
    item_names: Mapping[int, str] | Sequence[str] | None,
    known: KnownItems,
) -> Iterator[Found]:
    """Name one query's neighbours [K]; items without names go by their ids."""
    for score, number in zip(scores.tolist(), ids.tolist(), strict=True):
        if number < 0:  # a slot that no item could fill, nor any behind it
            return
        # An id is no name: an item of the data set that is called like it is another one.
        name = str(number) if item_names is None else item_names[number]
        item = Item(name=name) if item_names is None else known.find(name)
        is_known = query.class_name is not None and item.class_name is not None
        is_right = query.class_name == item.class_name if is_known else None
        yield Found(item=item, score=score, is_right=is_right)
