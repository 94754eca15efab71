"""Give a data set by name or path: prepared when it must be, out of the cache when it can be.

    source --once--> Items --for each size--> pixels --for each seed--> ImageSet

What is made once is kept (``cached_source``). Roles and splits that the source leaves open are
decided at each load, from names alone (``splits``). So every size of a source has the same items in
the same order, with the same classes, roles and splits.
"""

import hashlib
import logging
import os
from pathlib import Path

import numpy as np

from cmpc_base.progress import OnNotice, Progress
from cmpc_search.data.cached_source import CachedSource
from cmpc_search.data.fetching import Fetcher
from cmpc_search.data.image_set import ImageSet
from cmpc_search.data.reading import Sizing
from cmpc_search.data.sources.base import TemplateLists
from cmpc_search.data.sources.catalogue import find_source
from cmpc_search.data.splits import decide_sides
from cmpc_search.errors import BadArgument, BadData

__all__ = ["gallery_item_names", "load_image_set", "load_templates"]

_log = logging.getLogger(__name__)


def load_image_set(
    name_or_path: str | Path,
    *,
    size_px: int,
    crop_share: float | None = None,
    cache_dir: Path,
    seed: int = 0,
    with_styles: bool = False,
    may_only_test: bool = False,
    progress: Progress | None = None,
    on_notice: OnNotice | None = None,
) -> ImageSet:
    """Return a data set of the catalogue, a folder of class folders, or a CSV file, at one size.

    All but the pixels is the same at every size: items and their order, classes, roles, splits.

    Args:
        crop_share: Part of the shorter side that a square in the middle keeps, for networks that
            were trained so; None keeps the whole picture on a white square.
        seed: Decides roles, and which classes validate, where the source leaves them open.
        with_styles: Whether the items are wanted in other styles as well, to train on; a source
            whose pictures have no others gives none.
        may_only_test: Whether a set without training and validation classes will do.
        progress: Told of every picture that is read; of none if the cache has them all.
        on_notice: Told what is fetched, and of prepared data that were damaged; else a log is.

    Raises:
        BadArgument: the size is none.
        UnknownName: there is no such data set.
        BadData: the images can't be used, are of too few classes for three splits, or only test.
        MissingLibrary: an extra of this package is not installed.
    """
    if size_px < 1:
        raise BadArgument(f"`1 <= size_px` must hold, got {size_px=}")
    cached = _cached(name_or_path, cache_dir, on_notice, progress)
    sizing = Sizing(size_px=size_px, crop_share=crop_share)
    items, prepared = cached.load(sizing)
    sides = decide_sides(cached.source.name, items, seed=seed)
    decided = prepared.sha256.encode() + sides.split.tobytes() + sides.is_query.tobytes()
    image_set = ImageSet(
        name=cached.source.name,
        images=prepared.images,
        styles=cached.styles(items, sizing) if with_styles else (),
        labels=items.labels,
        class_names=items.class_names,
        class_keys=items.class_keys,
        groups=items.groups,
        is_query=sides.is_query,
        split=sides.split,
        item_names=items.item_names,
        sha256=hashlib.sha256(decided).hexdigest(),
        licences=items.licences,
        drops=items.drops,
    )
    if image_set.only_tests and not may_only_test:
        raise BadData(
            f"{image_set.name} must have training and validation classes for this, and has test "
            "classes alone; judge a run on it: cmpc evaluate RUN --other-data "
            f"{image_set.name}"
        )
    return image_set


def load_templates(
    name_or_path: str | Path, image_set: ImageSet, *, cache_dir: Path
) -> TemplateLists | None:
    """Return which of its images make one template; None where each stands for itself.

    Raises:
        BadData: the lists can't be read.
    """
    lists = find_source(name_or_path, Fetcher(cache_dir)).templates()
    return None if lists is None else lists.of(image_set.item_names)


def gallery_item_names(
    name_or_path: str | Path,
    *,
    cache_dir: Path,
    seed: int = 0,
    progress: Progress | None = None,
    on_notice: OnNotice | None = None,
) -> list[str]:
    """Return the names of the items on a data set's gallery side; no size is prepared for it.

    Raises:
        UnknownName, BadData, MissingLibrary: as `load_image_set`.
    """
    cached = _cached(name_or_path, cache_dir, on_notice, progress)
    items = cached.items()
    sides = decide_sides(cached.source.name, items, seed=seed)
    return [items.item_names[position] for position in np.flatnonzero(~sides.is_query)]


def _cached(
    name_or_path: str | Path,
    cache_dir: Path,
    on_notice: OnNotice | None,
    progress: Progress | None,
) -> CachedSource:
    notify = on_notice or _log.warning
    return CachedSource(
        source=find_source(name_or_path, Fetcher(cache_dir, notify)),
        name_or_path=os.path.abspath(name_or_path)
        if isinstance(name_or_path, Path)
        else name_or_path,
        cache_dir=cache_dir,
        on_notice=notify,
        progress=progress or _untold,
    )


def _untold(num_done: int, total: int, note: str = "") -> None:
    """Tell nobody."""
