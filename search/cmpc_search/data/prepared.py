"""Bring the items of a source to one size and keep the pixels.

    Items, pictures --read--> images.npy [N, S, S, 3]
                            > styles.npy [K, N, S, S, 3], the same in K other styles, if asked for

Nothing is decided here: which pictures take part was settled at one size for all (``items``).
"""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_base.progress import Progress
from cmpc_search.data.cache import new_folder, read_record, write_record
from cmpc_search.data.items import CANONICAL_SIZE_PX, Items
from cmpc_search.data.sources.base import Picture
from cmpc_search.errors import BadData

__all__ = [
    "PreparedImages",
    "Sizing",
    "check_space",
    "prepare_images",
    "prepare_styles",
    "read_prepared",
    "read_styles",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizing:
    """How pictures are brought to one size, see `load_image`."""

    size_px: int
    crop_share: float | None

    def __str__(self) -> str:
        cropped = "" if self.crop_share is None else f"-crop{self.crop_share:g}"
        return f"{self.size_px}px{cropped}"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PreparedImages:
    """The pixels of all items at one size."""

    images: npt.NDArray[np.uint8]
    """[N, S, S, 3], a read-only memory map in the order of the items."""
    sha256: str
    """Over the pixels and the items."""


def prepare_images(
    items: Items,
    pictures: Sequence[Picture],
    sizing: Sizing,
    folder: Path,
    progress: Progress | None = None,
) -> None:
    """Write the pixels of ``items`` to ``folder``, all of them or none.

    Raises:
        BadData: there is no space for them, or one can't be read at this size.
    """
    check_space(folder, num_images=len(items), size_px=sizing.size_px)
    by_name = {picture.item_name: picture for picture in pictures}
    with new_folder(folder) as temporary:
        shape = (len(items), sizing.size_px, sizing.size_px, 3)
        path = temporary / "images.npy"
        images = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
        for position, name in enumerate(items.item_names):
            images[position] = _read(by_name[name], sizing)
            if progress is not None:
                progress(position + 1, len(items))
        images.flush()
        write_record(temporary, {"items_sha256": items.sha256})


def prepare_styles(
    items: Items,
    pictures: Sequence[Picture],
    sizing: Sizing,
    folder: Path,
    progress: Progress | None = None,
) -> None:
    """Write ``items`` in their other styles to ``folder``, all of them or none.

    Raises:
        BadData: there is no space for them, or one can't be drawn in a style.
    """
    by_name = {picture.item_name: picture for picture in pictures}
    kept = [by_name[name] for name in items.item_names]
    num_styles = max(len(picture.styles) for picture in kept)
    size_px, crop_share = sizing.size_px, sizing.crop_share
    check_space(folder, num_images=num_styles * len(items), size_px=size_px)
    with new_folder(folder) as temporary:
        shape = (num_styles, len(items), size_px, size_px, 3)
        path = temporary / "styles.npy"
        styles = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
        for position, picture in enumerate(kept):
            reads = picture.styles or (picture.read,)
            styles[:, position] = [read(size_px, crop_share) for read in reads]
            if progress is not None:
                progress(position + 1, len(items))
        styles.flush()
        write_record(temporary, {"items_sha256": items.sha256})


def read_styles(folder: Path, items: Items) -> tuple[npt.NDArray[np.uint8], ...]:
    """Return ``items`` in their other styles; BadData as `read_prepared`."""
    _read_record(folder, items)
    return tuple(np.load(folder / "styles.npy", mmap_mode="r", allow_pickle=False))


def read_prepared(folder: Path, items: Items) -> PreparedImages:
    """Return the pixels of ``items``; BadData if the folder is damaged or of other items."""
    record = _read_record(folder, items)
    return PreparedImages(
        images=np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False),
        sha256=hashlib.sha256(repr([items.sha256, record["sha256"]]).encode()).hexdigest(),
    )


def _read_record(folder: Path, items: Items) -> dict[str, Any]:
    record = read_record(folder)
    if record.get("items_sha256") != items.sha256:
        raise BadData(f"{folder} must hold the images of the items that were decided on")
    return record


def check_space(folder: Path, *, num_images: int, size_px: int) -> None:
    """Refuse before any work what will not fit: a memory map on a full disk ends by a signal."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    num_bytes = num_images * size_px**2 * 3
    free = shutil.disk_usage(folder.parent).free
    if free < num_bytes:
        raise BadData(
            f"{num_bytes / 1e6:,.1f} MB must be free in {folder.parent} to prepare the images, "
            f"got {free / 1e6:,.1f} MB; choose a smaller size or another cache folder"
        )


def _read(picture: Picture, sizing: Sizing) -> npt.NDArray[np.uint8]:
    try:
        return picture.read(sizing.size_px, sizing.crop_share)
    except BadData as error:
        raise BadData(
            f"{picture.item_name} was read at {CANONICAL_SIZE_PX} px and must be readable at "
            f"{sizing.size_px} px too; take it out of the data set or choose another size: {error}"
        ) from error
