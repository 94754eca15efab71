"""A set of pictures whose every accuracy is known beforehand, and a network that reads them.

A picture is one pixel. A network sees its red value, the gallery network its green one, and both
embed value c as the c-th unit vector. Each split has twelve classes, numbered within it; class c
has two queries of red and green c. Its gallery picture has the same red in the first `own`
classes, so that M(q, q) finds it there; the same green in `paragon` classes; and so on. Elsewhere
its value is one that no query has. A query without an equal scores 0 with every picture, and the
earlier row stands first: the right picture of class c then has rank c + 1. One more gallery
picture, the last, is of a class that nobody asks for.

So with n classes found, top-1 is n / 12, top-10 is max(n, 10) / 12, and the mean average precision
is (n + 1 / (n + 1) + ... + 1 / 12) / 12.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
from torch import nn

from cmpc_search.data import ImageSet
from cmpc_search.data.image_set import SPLITS, Drops

NUM_CLASSES = 12
NUM_QUERIES, NUM_GALLERY = 2 * NUM_CLASSES, NUM_CLASSES + 1
NOWHERE = 100  # plus the class: a value that no query has
NUM_LONE_CLASSES, NUM_LONE_QUERIES = 3, 5  # of the test split: classes without a gallery picture
DIM = 160


@dataclass(frozen=True)
class Found:
    """In how many classes of a split each pair of networks finds the right picture first."""

    own: int
    across: int
    paragon: int


FOUND = {
    "train": Found(own=2, across=1, paragon=3),
    "validation": Found(own=4, across=5, paragon=6),
    "test": Found(own=7, across=8, paragon=9),
}


class RedNetwork(nn.Module):
    """float32 [N, 3, 1, 1] -> the unit vector of the red value, float32 [N, DIM]."""

    plan = SimpleNamespace(image=SimpleNamespace(size_px=1))

    def forward(self, images):
        codes = (images[:, 0, 0, 0] * 255).round().long()
        return nn.functional.one_hot(codes, DIM).float()


def top1(found):
    return found / NUM_CLASSES


def top10(found):
    return max(found, 10) / NUM_CLASSES


def mean_average_precision(found):
    missed = sum(Fraction(1, rank) for rank in range(found + 1, NUM_CLASSES + 1))
    return float((found + missed) / NUM_CLASSES)


def make_known_set():
    """Return the set and the gallery network's embeddings of it, float32 [N, DIM]."""
    rows = [
        ("test", NUM_CLASSES + number % NUM_LONE_CLASSES, True, 50 + number, 50 + number)
        for number in range(NUM_LONE_QUERIES)
    ]
    rows += [row for split, found in FOUND.items() for row in _pictures(split, found)]
    splits, classes, is_query, reds, greens = zip(*rows, strict=True)
    names = [f"{split} {label}" for split, label in zip(splits, classes, strict=True)]
    class_names = tuple(sorted(set(names)))
    images = np.zeros((len(rows), 1, 1, 3), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = reds, greens
    image_set = ImageSet(
        name="known",
        images=images,
        labels=np.array([class_names.index(name) for name in names]),
        class_names=class_names,
        is_query=np.array(is_query),
        split=np.array([SPLITS.index(split) for split in splits], np.int8),
        item_names=tuple(f"picture {number}" for number in range(len(rows))),
        sha256="0",
        licences=(),
        drops=Drops(),
    )
    return image_set, np.eye(DIM, dtype=np.float32)[list(greens)]


def as_known(material):
    """Return ``material`` with the known set in place of its own, each query in one view."""
    image_set, gallery_rows = make_known_set()
    settings = material.settings.model_copy(update={"views_per_query": 1})
    return replace(material, settings=settings, image_set=image_set, gallery_rows=gallery_rows)


def _pictures(split, found):
    for label in range(NUM_CLASSES):
        shown = NOWHERE + label
        red = label if label < found.own else shown
        green = label if label < found.across else shown
        asked = green if label < found.paragon else shown + NUM_CLASSES
        yield split, label, False, red, green
        yield split, label, True, label, asked
        yield split, label, True, label, asked
    yield split, NUM_CLASSES + NUM_LONE_CLASSES, False, NOWHERE - 1, NOWHERE - 1
