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
from cmpc_search.data.images import PREPROCESSING_VERSION
from cmpc_search.data.items import (
    CANONICAL_SIZE_PX,
    FORMAT_VERSION,
    Items,
    decide_items,
    read_items,
)
from cmpc_search.data.prepared import (
    PreparedImages,
    Sizing,
    check_space,
    prepare_images,
    prepare_styles,
    read_prepared,
    read_styles,
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
    """A source with its place in the cache."""

    source: Source
    cache_dir: Path
    on_notice: OnNotice

    @cached_property
    def pictures(self) -> list[Picture]:
        """All of them, listed when first asked for: a full cache needs none."""
        return list(self.source.pictures())

    @cached_property
    def _version(self) -> str:
        return self.source.version()

    def items(self, progress: Progress | None = None) -> Items:
        """Return which pictures take part; look at each of them, if nobody has yet."""
        folder = self._folder("items")
        return self._read_or_make(
            folder,
            read=lambda: read_items(folder),
            make=lambda: decide_items(self.source, self.pictures, folder, progress),
        )

    def load(self, sizing: Sizing, progress: Progress | None) -> tuple[Items, PreparedImages]:
        """Return the items and their pixels; progress counts every reading of a picture."""
        folder = self._folder(str(sizing))
        if not folder.exists():
            check_space(folder, num_images=len(self.pictures), size_px=sizing.size_px)
        num_read = 0

        def while_deciding(num_done: int, total: int, _: str = "") -> None:
            nonlocal num_read
            num_read = num_done
            if progress is not None:
                progress(num_done, 2 * total)

        def while_preparing(num_done: int, total: int, _: str = "") -> None:
            if progress is not None:
                progress(num_read + num_done, num_read + total)

        items = self.items(while_deciding)
        prepared = self._read_or_make(
            folder,
            read=lambda: read_prepared(folder, items),
            make=lambda: prepare_images(items, self.pictures, sizing, folder, while_preparing),
        )
        return items, prepared

    def styles(
        self, items: Items, sizing: Sizing, progress: Progress | None
    ) -> tuple[npt.NDArray[np.uint8], ...]:
        """Return the items in other styles; none of a source that has no others."""
        if not self.source.has_styles:
            return ()
        folder = self._folder(f"{sizing}-styles{STYLES_VERSION}")
        return self._read_or_make(
            folder,
            read=lambda: read_styles(folder, items),
            make=lambda: prepare_styles(items, self.pictures, sizing, folder, progress),
        )

    def _read_or_make(
        self, folder: Path, *, read: Callable[[], Found], make: Callable[[], None]
    ) -> Found:
        Cache(self.cache_dir).mark_used(folder)
        if folder.exists():
            try:
                return read()
            except BadData as error:
                self.on_notice(f"prepared data are damaged and made again: {error}")
                remove_folder(folder)
        make()
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
