"""Made-up images: coloured shapes, a few of each, in both roles."""

import numpy as np
import pytest

from cmpc_search.data import ImageSet
from cmpc_search.data.image_set import Drops

# Seven inks on white paper; the class of one of them is left to validation.
INKS = [
    (220, 0, 0),
    (0, 170, 0),
    (120, 120, 120),
    (0, 0, 220),
    (0, 0, 0),
    (0, 180, 200),
    (230, 180, 0),
]
VALIDATION_CLASS = 2
IMAGES_PER_ROLE = 4
SIZE_PX = 16


def draw(label: int, rng: np.random.Generator) -> np.ndarray:
    image = np.full((SIZE_PX, SIZE_PX, 3), 255, np.uint8)
    top, left = rng.integers(3, 6, 2)
    image[top : top + 8, left : left + 8] = np.add(INKS[label], rng.integers(0, 25, 3))
    return image


@pytest.fixture(scope="session")
def shapes() -> ImageSet:
    """Seven classes of shapes, six of them for training, eight images each."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(INKS)), 2 * IMAGES_PER_ROLE)
    order = rng.permutation(len(labels))
    labels = labels[order].astype(np.int64)
    return ImageSet(
        name="shapes",
        images=np.stack([draw(int(label), rng) for label in labels]),
        labels=labels,
        class_names=tuple(f"shape {label}" for label in range(len(INKS))),
        is_query=order % 2 == 0,
        split=(labels == VALIDATION_CLASS).astype(np.int8),
        item_names=tuple(f"shapes/{number}" for number in range(len(labels))),
        sha256="0" * 64,
        licences=(),
        drops=Drops(),
    )
