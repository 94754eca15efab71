"""Items and pixels of a source: read from the cache, or made and kept there.

The keys name what they depend on: the source's version, the preprocessing and the libraries that
draw, and for pixels the size. The seed is in neither, so another seed makes nothing again.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from cmpc_base.cache import Cache
from cmpc_base.folders import remove_folder
from cmpc_base.progress import OnNotice, Progress
from cmpc_search.data.cache import unfinished_folder, write_record
from cmpc_search.data.filling import Filling
from cmpc_search.data.images import PREPROCESSING_VERSION
from cmpc_search.data.items import FORMAT_VERSION, Items, decide_items, read_items
from cmpc_search.data.prepared import (
    IMAGES_NAME,
    STYLES_NAME,
    PreparedImages,
    check_space,
    read_prepared,
    read_styles,
)
from cmpc_search.data.readers import SourceOrder, fill_together, num_readers
from cmpc_search.data.reading import (
    CANONICAL_SIZE_PX,
    Reading,
    Sizing,
    digests,
    images,
    styles,
)
from cmpc_search.data.sources.base import Picture, Source
from cmpc_search.data.svg_styles import STYLES_VERSION
from cmpc_search.errors import BadData

__all__ = ["CachedSource"]

MAX_NAME_LENGTH = 80
"""Of a folder in the cache: file systems allow 255 bytes, and more is added to it."""

Found = TypeVar("Found")


@dataclass(frozen=True)
class CachedSource:
    """A source with its place in the cache.

    Attributes:
        name_or_path: What other processes find the same source by.
        progress: Told of every reading of a picture; of all kinds of reading in turn.
    """

    source: Source
    name_or_path: str
    cache_dir: Path
    on_notice: OnNotice
    progress: Progress

    @cached_property
    def pictures(self) -> list[Picture]:
        """All of them, listed when first asked for: a full cache needs none."""
        return list(self.source.pictures())

    @cached_property
    def _version(self) -> str:
        return self.source.version()

    def items(self, *, num_more: int = 0) -> Items:
        """Return which pictures take part; look at each of them, if nobody has yet.

        Progress counts ``num_more`` readings of each picture that will follow.
        """
        folder = self._folder("items")

        def progress(num_done: int, total: int, _: str = "") -> None:
            self.progress(num_done, (1 + num_more) * total)

        def make(draft: Path) -> None:
            path = draft / "digests.npy"
            self._fill(path, digests(len(self.pictures)), progress)
            rows = np.load(path, allow_pickle=False)
            path.unlink()
            decide_items(self.source, self.pictures, rows, draft)

        return self._read_or_make(folder, read=lambda: read_items(folder), make=make)

    def load(self, sizing: Sizing) -> tuple[Items, PreparedImages]:
        """Return the items and their pixels."""
        folder = self._folder(str(sizing))
        if not folder.exists():
            check_space(folder, num_images=len(self.pictures), size_px=sizing.size_px)
        num_before = 0 if self._folder("items").exists() else len(self.pictures)
        items = self.items(num_more=1)

        def progress(num_done: int, total: int, _: str = "") -> None:
            self.progress(num_before + num_done, num_before + total)

        def make(draft: Path) -> None:
            self._fill(draft / IMAGES_NAME, images(self._positions(items), sizing), progress)
            write_record(draft, {"items_sha256": items.sha256})

        prepared = self._read_or_make(folder, read=lambda: read_prepared(folder, items), make=make)
        return items, prepared

    def styles(self, items: Items, sizing: Sizing) -> tuple[npt.NDArray[np.uint8], ...]:
        """Return the items in other styles; none of a source that has no others."""
        if not self.source.has_styles:
            return ()
        folder = self._folder(f"{sizing}-styles{STYLES_VERSION}")

        def make(draft: Path) -> None:
            num_styles = max(len(picture.styles) for picture in self.pictures)
            reading = styles(self._positions(items), sizing, num_styles)
            self._fill(draft / STYLES_NAME, reading, self.progress)
            write_record(draft, {"items_sha256": items.sha256})

        return self._read_or_make(folder, read=lambda: read_styles(folder, items), make=make)

    def _positions(self, items: Items) -> list[int]:
        """Return where the items are among the pictures."""
        position_of = {picture.item_name: place for place, picture in enumerate(self.pictures)}
        return [position_of[name] for name in items.item_names]

    def _fill(self, path: Path, reading: Reading, progress: Progress) -> None:
        """Read what is missing of a file of rows, by several processes if that pays."""
        filling = Filling(path, reading)
        num_processes = num_readers(reading.num_rows - filling.num_done)
        if num_processes > 1:
            order = SourceOrder(
                source=self.name_or_path, cache_dir=str(self.cache_dir), version=self._version
            )
            fill_together(filling, order, num_processes, progress)
        else:
            filling.fill(self.pictures, progress)
        filling.finish()

    def _read_or_make(
        self, folder: Path, *, read: Callable[[], Found], make: Callable[[Path], None]
    ) -> Found:
        Cache(self.cache_dir).mark_used(folder)
        if folder.exists():
            try:
                return read()
            except BadData as error:
                self.on_notice(f"prepared data are damaged and made again: {error}")
                remove_folder(folder)
        with unfinished_folder(folder, on_wait=self.on_notice) as draft:
            if draft is not None:
                Cache(self.cache_dir).mark_used(draft)
                make(draft)
        return read()

    def _folder(self, what: str) -> Path:
        parts = (
            FORMAT_VERSION,
            PREPROCESSING_VERSION,
            *_library_versions(),
            CANONICAL_SIZE_PX,
            what,
            self.source.revision,
            self._version,
        )
        key = hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
        safe_name = re.sub(r"[^\w.-]", "_", self.source.name, flags=re.ASCII)[:MAX_NAME_LENGTH]
        return Cache(self.cache_dir).data / f"{safe_name}-{what}-{key}"


def _library_versions() -> tuple[str | None, ...]:
    """Return the versions of what decodes and draws; None of what is not installed."""
    return tuple(_version_of(package) for package in ("pillow", "resvg-py"))


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
