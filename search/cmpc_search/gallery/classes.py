"""Which classes did a gallery network learn from, and which were kept from it?

    galleries/NAME/classes.json     name, key and splits of each class of the data it was trained on

The names of its data set would not do: the same class may be in another set too, and a set may have
changed since. A network of the user's own has no such file.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from cmpc_base.json_files import write_json
from cmpc_search.data import SPLITS, ImageSet, further_classes
from cmpc_search.errors import BadGallery
from cmpc_search.json_records import read_record

__all__ = ["KnownClass", "classes_beside", "classes_in", "read_classes", "write_classes"]

CLASSES_FILE = "classes.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownClass:
    """A class, by its name for people and by its key across data sets."""

    name: str
    key: str
    splits: tuple[str, ...]
    """In which splits its images are: several in a closed set."""


@dataclass(frozen=True, slots=True)
class _Classes:
    """What classes.json holds."""

    network_sha256: str
    classes: list[KnownClass]


def classes_in(image_set: ImageSet) -> list[KnownClass]:
    """Return the classes of a set that have images, in the order of their labels."""
    pairs = np.stack([image_set.labels, image_set.split.astype(np.int64)])[:, image_set.has_class]
    pairs = np.unique(pairs, axis=1)
    splits: dict[int, list[str]] = {}
    for label, split in pairs.T.tolist():
        splits.setdefault(label, []).append(SPLITS[split])
    return [
        KnownClass(
            name=image_set.class_names[label],
            key=image_set.class_keys[label],
            splits=tuple(names),
        )
        for label, names in splits.items()
    ]


def classes_beside(image_set: ImageSet, further: Sequence[ImageSet]) -> tuple[KnownClass, ...]:
    """Return the classes that only further data sets show a network in training."""
    own = {one.key for one in classes_in(image_set)}
    learnt = further_classes(image_set, further)
    return tuple(
        KnownClass(name=name, key=key, splits=("train",))
        for key, name in learnt.items()
        if key not in own
    )


def write_classes(
    gallery_path: Path,
    image_set: ImageSet,
    beside: Sequence[KnownClass] = (),
    *,
    network_sha256: str,
) -> None:
    """Keep what a network was trained on, ``beside`` its data set too, in its gallery's folder."""
    document = {
        "network_sha256": network_sha256,
        "classes": [asdict(one) for one in (*classes_in(image_set), *beside)],
    }
    write_json(gallery_path / CLASSES_FILE, document)


def read_classes(gallery_path: Path, *, network_sha256: str) -> list[KnownClass] | None:
    """Return the classes that this network was trained beside; None if nobody kept them.

    Raises:
        BadGallery: the file is there and can't be read.
    """
    path = gallery_path / CLASSES_FILE
    if not path.exists():
        return None
    found = read_record(path, _Classes, error=BadGallery, advice="train the gallery again")
    return found.classes if found.network_sha256 == network_sha256 else None
