"""The pixels of a source's items at one size, as they are kept.

    images.npy [N, S, S, 3]
    styles.npy [K N, S, S, 3], the same in K other styles, in a folder of its own

Nothing is decided here: which pictures take part was settled at one size for all (``items``).
"""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_search.data.cache import read_record
from cmpc_search.data.items import Items
from cmpc_search.errors import BadData

__all__ = [
    "IMAGES_NAME",
    "STYLES_NAME",
    "PreparedImages",
    "check_space",
    "read_prepared",
    "read_styles",
]

IMAGES_NAME, STYLES_NAME = "images.npy", "styles.npy"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PreparedImages:
    """The pixels of all items at one size."""

    images: npt.NDArray[np.uint8]
    """[N, S, S, 3], a read-only memory map in the order of the items."""
    sha256: str
    """Over the pixels and the items."""


def read_prepared(folder: Path, items: Items) -> PreparedImages:
    """Return the pixels of ``items``; BadData if the folder is damaged or of other items."""
    record = _read_record(folder, items)
    return PreparedImages(
        images=np.load(folder / IMAGES_NAME, mmap_mode="r", allow_pickle=False),
        sha256=hashlib.sha256(repr([items.sha256, record["sha256"]]).encode()).hexdigest(),
    )


def read_styles(folder: Path, items: Items) -> tuple[npt.NDArray[np.uint8], ...]:
    """Return ``items`` in their other styles; BadData as `read_prepared`."""
    _read_record(folder, items)
    rows = np.load(folder / STYLES_NAME, mmap_mode="r", allow_pickle=False)
    return tuple(rows.reshape(-1, len(items), *rows.shape[1:]))


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
