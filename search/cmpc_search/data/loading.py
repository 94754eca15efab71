"""Give a data set by name or path: prepared when it must be, out of the cache when it can be.

    source --once--> Items --for each size--> pixels --for each seed--> ImageSet

The cache keys name what items and pixels depend on: the source's version, the preprocessing and
the libraries that draw, and for pixels the size. The seed is in neither: roles and splits that the
source leaves open are decided here, at each load, from names alone. So every size of a source has
the same items in the same order, with the same classes, roles and splits.
"""

import hashlib
import logging
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
from cmpc_base.progress import Progress
from cmpc_search.data.fetching import Fetcher
from cmpc_search.data.image_set import SPLITS, ImageSet
from cmpc_search.data.images import PREPROCESSING_VERSION
from cmpc_search.data.items import (
    CANONICAL_SIZE_PX,
    FORMAT_VERSION,
    OPEN,
    Items,
    decide_items,
    read_items,
)
from cmpc_search.data.prepared import PreparedImages, check_space, prepare_images, read_prepared
from cmpc_search.data.sources.base import Picture, Source
from cmpc_search.data.sources.catalogue import find_source
from cmpc_search.data.splits import MIN_CLASSES, SplitFractions, assign_roles, split_classes
from cmpc_search.errors import BadArgument, BadData

__all__ = ["gallery_item_names", "load_image_set"]

_log = logging.getLogger(__name__)

MAX_NAME_LENGTH = 80
"""Of a folder in the cache: file systems allow 255 bytes, and more is added to it."""

Found = TypeVar("Found")


def load_image_set(
    name_or_path: str | Path,
    *,
    size_px: int,
    cache_dir: Path,
    seed: int = 0,
    fractions: SplitFractions | None = None,
    progress: Progress | None = None,
    on_notice: Callable[[str], None] | None = None,
) -> ImageSet:
    """Return a data set of the catalogue, a folder of class folders, or a CSV file, at one size.

    All but the pixels is the same at every size: items and their order, classes, roles, splits.

    Args:
        seed: Decides roles, and which classes validate, where the source leaves them open.
        fractions: Shares of the classes, where the source leaves the splits open.
        progress: Told of every picture that is read; of none if the cache has them all.
        on_notice: Told what is fetched, and of prepared data that were damaged; else a log is.

    Raises:
        BadArgument: the size is none, or fractions are given for data with splits of their own.
        UnknownName: there is no such data set.
        BadData: the images can't be used, or are of too few classes for three splits.
        MissingLibrary: an extra of this package is not installed.
    """
    if size_px < 1:
        raise BadArgument(f"`1 <= size_px` must hold, got {size_px=}")
    cached = _cached(name_or_path, cache_dir, on_notice)
    items, prepared = cached.load(size_px, progress)
    split, is_query = _decide(cached.source.name, items, seed=seed, fractions=fractions)
    decided = prepared.sha256.encode() + split.tobytes() + is_query.tobytes()
    return ImageSet(
        name=cached.source.name,
        images=prepared.images,
        labels=items.labels,
        class_names=items.class_names,
        class_keys=items.class_keys,
        is_query=is_query,
        split=split,
        item_names=items.item_names,
        sha256=hashlib.sha256(decided).hexdigest(),
        licences=items.licences,
        drops=items.drops,
    )


def gallery_item_names(
    name_or_path: str | Path,
    *,
    cache_dir: Path,
    seed: int = 0,
    progress: Progress | None = None,
    on_notice: Callable[[str], None] | None = None,
) -> list[str]:
    """Return the names of the items on a data set's gallery side; no size is prepared for it.

    Raises:
        UnknownName, BadData, MissingLibrary: as `load_image_set`.
    """
    cached = _cached(name_or_path, cache_dir, on_notice)
    items = cached.items(progress)
    _, is_query = _decide(cached.source.name, items, seed=seed, fractions=None)
    return [items.item_names[position] for position in np.flatnonzero(~is_query)]


@dataclass(frozen=True)
class _CachedSource:
    """A source with its place in the cache."""

    source: Source
    cache_dir: Path
    on_notice: Callable[[str], None]

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

    def load(self, size_px: int, progress: Progress | None) -> tuple[Items, PreparedImages]:
        """Return the items and their pixels; progress counts every reading of a picture."""
        folder = self._folder(f"{size_px}px")
        if not folder.exists():
            check_space(folder, num_images=len(self.pictures), size_px=size_px)
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
            make=lambda: prepare_images(
                items, self.pictures, size_px=size_px, folder=folder, progress=while_preparing
            ),
        )
        return items, prepared

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


def _cached(
    name_or_path: str | Path, cache_dir: Path, on_notice: Callable[[str], None] | None
) -> _CachedSource:
    notify = on_notice or _log.warning
    source = find_source(name_or_path, Fetcher(cache_dir, notify))
    return _CachedSource(source, cache_dir, notify)


def _library_versions() -> tuple[str | None, ...]:
    """Return the versions of what decodes and draws; None of what is not installed."""
    return tuple(_version_of(package) for package in ("pillow", "resvg-py"))


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _decide(
    name: str, items: Items, *, seed: int, fractions: SplitFractions | None
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
    """Settle the splits and roles that the source left open: int8 [N], and whether one asks [N]."""
    split = items.splits
    if (split == OPEN).any():
        split = _split(name, items, seed, fractions or SplitFractions())[items.labels]
    elif fractions is not None:
        raise BadArgument(f"{name} comes with its own splits, so split fractions can't be set")
    if (items.roles == OPEN).any():
        # Within a class and a split: each side of a closed set's split gets its queries.
        groups = items.labels * len(SPLITS) + split
        is_query = assign_roles(items.item_names, groups, seed=seed)
    else:
        is_query = items.roles == 1
    _check_sides(name, items.labels, split, is_query)
    return split, is_query


def _split(name: str, items: Items, seed: int, fractions: SplitFractions) -> npt.NDArray[np.int8]:
    try:
        return split_classes(items.class_keys, seed=seed, fractions=fractions)
    except BadData as error:
        dropped = f"; {items.drops.describe()}" if items.drops.total else ""
        raise BadData(f"{name} is too small: {error}{dropped}") from error


def _check_sides(
    name: str,
    labels: npt.NDArray[np.int64],
    split: npt.NDArray[np.int8],
    is_query: npt.NDArray[np.bool_],
) -> None:
    """Refuse a split in which every network would score alike."""
    counts = {}
    for position, split_name in enumerate(SPLITS):
        is_here = split == position
        asked, answered = (set(labels[is_here & side].tolist()) for side in (is_query, ~is_query))
        counts[split_name] = len(asked & answered)
    if min(counts.values()) < MIN_CLASSES:
        shown = ", ".join(f"{split_name} {count}" for split_name, count in counts.items())
        raise BadData(
            f"every split of {name} must have at least {MIN_CLASSES} classes with query and "
            f"gallery images, got {shown}; with fewer, every network scores alike: add classes"
        )
