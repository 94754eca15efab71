"""What every part of cmpc sees of a data set: one frozen record of images, classes, roles, splits.

Open-set retrieval needs three facts about an image beside its class: may training look at it (its
split), on which side of the search does it stand (its role), and what is it called when it turns
up as an answer (its item name). Sources differ in how they know these; past this file nobody asks.

    source -> prepared arrays on disk -> ImageSet -> training, search, evaluation, index

Shapes: N images, S pixels a side, C classes.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_search.errors import BadArgument, BadData

__all__ = [
    "NO_CLASS",
    "ROLES",
    "SPLITS",
    "DropReason",
    "Dropped",
    "Drops",
    "ImageSet",
    "SetCounts",
    "numbered_from_zero",
]

NO_CLASS = -1
"""The label of an item whose class nobody knows: trained on where no class is needed."""

SPLITS = ("train", "validation", "test")
"""Names of the values 0, 1, 2 of ``ImageSet.split``."""

ROLES = ("gallery", "query")
"""Names of the values False, True of ``ImageSet.is_query``."""


class DropReason(StrEnum):
    """Why a picture of the source takes no part."""

    BROKEN = "broken"
    """It can't be read; the detail says why."""
    IDENTICAL = "identical"
    """Its pixels are those of a picture of another class: nothing can tell the two apart."""
    REPEATED = "repeated"
    """Its pixels are those of a picture of its class that stays: finding a copy says nothing."""
    LONE = "lone"
    """No partner is left in its class to find, or to be found by."""


PHRASES = {
    DropReason.BROKEN: "broken, {}",
    DropReason.IDENTICAL: "has the pixels of {}, which is of another class",
    DropReason.REPEATED: "has the pixels of {}, which stays",
    DropReason.LONE: "has no partner in its class, {}",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropped:
    """One picture that was left out."""

    item_name: str
    reason: DropReason
    detail: str = ""
    """What is wrong with a broken one, the item name of the other one, or of which class it was."""

    def describe(self) -> str:
        """Return it in one line for people."""
        return f"{self.item_name}: {PHRASES[self.reason].format(self.detail)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Drops:
    """The pictures of the source that were left out, in the order of the source."""

    items: tuple[Dropped, ...] = ()

    def count(self, reason: DropReason) -> int:
        """Return how many were left out for ``reason``."""
        return sum(item.reason == reason for item in self.items)

    @property
    def total(self) -> int:
        return len(self.items)

    def describe(self) -> str:
        """Return the counts in a sentence for people."""
        return (
            f"{self.total} images were left out: {self.count(DropReason.BROKEN)} broken, "
            f"{self.count(DropReason.IDENTICAL)} with the pixels of another class, "
            f"{self.count(DropReason.REPEATED)} repeated in their class, "
            f"{self.count(DropReason.LONE)} without a partner in their class"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the count of each reason, and each picture with its reason."""
        counts = {f"num_{reason}": self.count(reason) for reason in DropReason}
        return {**counts, "items": [asdict(item) for item in self.items]}


@dataclass(frozen=True, kw_only=True, slots=True)
class SetCounts:
    """How large one split is."""

    num_classes: int
    num_queries: int
    num_gallery: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageSet:
    """Images with their classes, roles and splits, ready for networks.

    The sha256 covers everything that is not prose: pixels, labels, roles, splits and names. A
    gallery network learnt on one split must not meet another, so another seed is another sha256.
    """

    name: str
    images: npt.NDArray[np.uint8]
    """[N, S, S, 3] RGB, often a read-only memory map."""
    labels: npt.NDArray[np.int64]
    """[N] positions in class_names, or NO_CLASS; then the split is train."""
    class_names: tuple[str, ...]
    """[C] for people, and to match classifiers by."""
    is_query: npt.NDArray[np.bool_]
    split: npt.NDArray[np.int8]
    """[N] positions in SPLITS."""
    item_names: tuple[str, ...]
    """[N] unique, such as "openmoji/1F600"."""
    sha256: str
    licences: tuple[str, ...]
    drops: Drops
    class_keys: tuple[str, ...] = ()
    """[C] what makes a class the same one in another data set; the names, if none are given."""
    styles: tuple[npt.NDArray[np.uint8], ...] = ()
    """Each [N, S, S, 3]: the same items drawn in another style, to train on. They are asked for by
    ``with_styles`` and no part of the sha256: what is tested does not depend on them."""
    groups: tuple[str, ...] | None = None
    """[N] where images come from; those of a query's class and group are no answer to it."""

    def __post_init__(self) -> None:
        num_images = len(self.images)
        if not self.class_keys:
            object.__setattr__(self, "class_keys", self.class_names)  # the record is frozen
        if self.images.ndim != 4 or self.images.shape[3] != 3 or self.images.dtype != np.uint8:
            raise BadData(
                "images must be uint8 of shape [N, S, S, 3], "
                f"got {self.images.dtype} {self.images.shape}"
            )
        if any(style.shape != self.images.shape for style in self.styles):
            raise BadData("images in other styles must have the shape of the images")
        columns = (self.labels, self.is_query, self.split, self.item_names, self.groups)
        lengths = {len(column) for column in columns if column is not None}
        if lengths != {num_images}:
            raise BadData(
                "labels, roles, splits, item names and groups must be as many as the images, "
                f"got {sorted(lengths)} for {num_images}"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def size_px(self) -> int:
        return int(self.images.shape[1])

    @property
    def only_tests(self) -> bool:
        """Whether there is nothing to train and validate on."""
        return bool((self.split == SPLITS.index("test")).all())

    @property
    def is_open_set(self) -> bool:
        """No class is in two splits: what is tested was never seen in training."""
        pairs = np.stack([self.labels, self.split.astype(np.int64)], axis=1)[self.has_class]
        pairs = np.unique(pairs, axis=0)
        return len(np.unique(pairs[:, 0])) == len(pairs)

    @property
    def has_class(self) -> npt.NDArray[np.bool_]:
        """Whether the class of each image is known, bool [N]."""
        return np.not_equal(self.labels, NO_CLASS)

    def labels_in(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the labels of the classes that images at ``positions`` are of, ascending."""
        found: list[int] = sorted({*self.labels[positions].tolist()} - {NO_CLASS})
        return np.array(found, dtype=np.int64)

    def select(self, *, split: str | None = None, role: str | None = None) -> npt.NDArray[np.int64]:
        """Return the positions of the images of a split and a role, ascending; None means any."""
        is_wanted = np.ones(len(self), dtype=np.bool_)
        if split is not None:
            is_wanted &= self.split == _position(split, SPLITS, kind="split")
        if role is not None:
            is_wanted &= self.is_query == bool(_position(role, ROLES, kind="role"))
        return np.flatnonzero(is_wanted).astype(np.int64)

    def subset(self, positions: npt.NDArray[np.int64]) -> "ImageSet":
        """Return the images at ``positions``, in that order; labels keep their meaning."""
        chosen = np.asarray(positions, dtype=np.int64)
        return replace(
            self,
            images=self.images[chosen],
            styles=tuple(style[chosen] for style in self.styles),
            labels=self.labels[chosen],
            is_query=self.is_query[chosen],
            split=self.split[chosen],
            item_names=tuple(self.item_names[position] for position in chosen),
            groups=self.groups_of(chosen),
            sha256=hashlib.sha256(self.sha256.encode() + chosen.tobytes()).hexdigest(),
        )

    def groups_of(self, positions: npt.NDArray[np.int64]) -> tuple[str, ...] | None:
        """Return where the images at ``positions`` come from, if that is known."""
        if self.groups is None:
            return None
        return tuple(self.groups[position] for position in positions)

    def counts(self) -> Mapping[str, SetCounts]:
        """Return the size of each split."""
        return {split: self._count(split) for split in SPLITS}

    def describe(self) -> str:
        """Return the set in one line for people."""
        sizes = ", ".join(
            f"{split} {count.num_classes} classes ({count.num_queries} queries, "
            f"{count.num_gallery} gallery)"
            for split, count in self.counts().items()
        )
        return f"{self.describe_size()} at {self.size_px} px; {sizes}"

    def describe_size(self) -> str:
        """Return in words how many images and classes there are."""
        counted = f"{self.name}: {len(self)} images of {self.num_classes} classes"
        num_without = int((~self.has_class).sum())
        return f"{counted}, {num_without} of them of no known class" if num_without else counted

    def _count(self, split: str) -> SetCounts:
        return SetCounts(
            num_classes=len(self.labels_in(self.select(split=split))),
            num_queries=len(self.select(split=split, role="query")),
            num_gallery=len(self.select(split=split, role="gallery")),
        )


def numbered_from_zero(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return labels int64 [N] with the classes that are there numbered 0, 1, 2; NO_CLASS stays."""
    present = np.unique(labels)
    return np.where(labels == NO_CLASS, NO_CLASS, np.searchsorted(present[present >= 0], labels))


def _position(name: str, names: tuple[str, ...], *, kind: str) -> int:
    if name not in names:
        raise BadArgument.among(names, kind, name)
    return names.index(name)
