"""DeepFashion2, consumer to shop: garments in photographs of customers, found among those of shops.

Y. Ge, R. Zhang, X. Wang, X. Tang, P. Luo: DeepFashion2: A Versatile Benchmark for Detection, Pose
Estimation, Segmentation and Re-Identification of Clothing Images, CVPR 2019. Read as published:

    train/annos/000001.json       {"source": "user", "pair_id": 1,
    validation/annos/000001.json   "item1": {"style": 1, "bounding_box": [249, 423, 466, 623], ...}}
    train/image/000001.jpg        the picture; each item is what is in its box
    validation/image/000001.jpg

Two items are the same garment if pair and style are, and the style is above 0. Those of customers
("user") ask, those of shops answer. The published validation set tests, since the test set's
answers are not published; boxes are the true ones, nothing is detected. Items of style 0 never ask:
in shops that test they are what others must be told from, elsewhere they train without a class.
"""

import json
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from cmpc_search.data.images import Box, load_image
from cmpc_search.data.sources.base import OwnCopySource, Picture
from cmpc_search.data.sources.folder import files_version
from cmpc_search.data.sources.published import Listed, pictures_of
from cmpc_search.errors import BadData

__all__ = ["DeepFashion2Source"]

PARTS = {"train": False, "validation": True}
"""Folders, and whether they test."""

ROLES_OF_SOURCES = {"user": "query", "shop": "gallery"}


class DeepFashion2Source(OwnCopySource):
    """The folder that holds train and validation, unpacked."""

    name = "deepfashion2"
    licences = ("non-commercial research, as agreed with its authors",)
    has_distractors = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def version(self) -> str:
        return files_version([path for paths in self._annotations.values() for path in paths])

    def pictures(self) -> Sequence[Picture]:
        return pictures_of(
            [
                listed
                for part, paths in self._annotations.items()
                for path in paths
                for listed in self._listed(part, path)
            ]
        )

    @cached_property
    def _annotations(self) -> dict[str, list[Path]]:
        found = {part: sorted((self.folder / part / "annos").glob("*.json")) for part in PARTS}
        if lacking := [part for part, paths in found.items() if not paths]:
            raise BadData(
                f"{self.folder / lacking[0] / 'annos'} must hold the annotations of DeepFashion2, "
                "it holds none; unpack the archives train and validation there"
            )
        return found

    def _listed(self, part: str, path: Path) -> Iterator[Listed]:
        """Yield the items of one picture."""
        document = _document(path)
        role = ROLES_OF_SOURCES[document["source"]]
        image = self.folder / part / "image" / f"{path.stem}.jpg"
        for key in sorted(key for key in document if key.startswith("item")):
            style, box = _style_and_box(document[key], key, path)
            if style == 0 and PARTS[part] and role == "query":
                continue
            name = f"{part}/{path.stem}/{key}"
            garment = f"{part}/pair {document['pair_id']} style {style}"
            unpaired = name if PARTS[part] else None
            yield Listed(
                item_name=name,
                class_name=garment if style > 0 else unpaired,
                read=partial(load_image, image, box=box),
                is_test=PARTS[part],
                role=role if style > 0 else "gallery",
            )


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
        if document["source"] in ROLES_OF_SOURCES and isinstance(document["pair_id"], int):
            return dict(document)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise _bad(path, f"{type(error).__name__} {error}") from error
    raise _bad(path, f"{document['source']!r} and {document['pair_id']!r}")


def _style_and_box(item: Any, key: str, path: Path) -> tuple[int, Box]:
    try:
        style, (left, top, right, bottom) = item["style"], map(int, item["bounding_box"])
        return int(style), (left, top, right, bottom)
    except (ValueError, KeyError, TypeError) as error:
        raise _bad(path, f"{key} with {type(error).__name__} {error}") from error


def _bad(path: Path, got: str) -> BadData:
    return BadData(
        f"{path} must tell source (user or shop), pair_id, and of each item its style and "
        f"bounding_box, got {got}; get the data again"
    )
