"""Give a data set by name or path: prepared when it must be, out of the cache when it can be.

The cache key names what the pixels depend on: the source's version, the size, the preprocessing
and the libraries that draw. The seed is not in it: roles and splits that the source leaves open
are decided here, at each load.
"""

import hashlib
import re
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL

from cmpc_search.data.base import SPLITS, ImageSet
from cmpc_search.data.cache import remove_folder
from cmpc_search.data.catalogue import CATALOGUE, named_source
from cmpc_search.data.csv_file import CsvSource
from cmpc_search.data.folder import FolderSource
from cmpc_search.data.images import PREPROCESSING_VERSION
from cmpc_search.data.prepared import (
    FORMAT_VERSION,
    OPEN,
    PreparedImages,
    Progress,
    prepare_images,
    read_prepared,
)
from cmpc_search.data.source import Source
from cmpc_search.data.splits import SplitFractions, assign_roles, split_classes
from cmpc_search.errors import BadArgument, BadData

__all__ = ["find_source", "load_image_set", "prepared_folder"]


def load_image_set(
    name_or_path: str | Path,
    *,
    size_px: int,
    cache_dir: Path,
    seed: int = 0,
    fractions: SplitFractions | None = None,
    progress: Progress | None = None,
) -> ImageSet:
    """Return a data set of the catalogue, a folder of class folders, or a CSV file, at one size."""
    if size_px < 1:
        raise BadArgument(f"`1 <= size_px` must hold, got {size_px=}")
    source = find_source(name_or_path, cache_dir)
    folder = prepared_folder(source, size_px=size_px, cache_dir=cache_dir)
    prepared = _read_or_prepare(source, size_px, folder, progress)
    return _decide(source.name, prepared, seed=seed, fractions=fractions)


def find_source(name_or_path: str | Path, cache_dir: Path) -> Source:
    """Return the source of a folder or a CSV file, else of a name in the catalogue.

    A name of the catalogue wins over a folder of that name in the working folder: ``./emoji``
    is the folder.
    """
    path = Path(name_or_path)
    if str(name_or_path) not in CATALOGUE or isinstance(name_or_path, Path):
        if path.is_dir():
            return FolderSource(path)
        if path.suffix.lower() == ".csv" and path.is_file():
            return CsvSource(path)
    return named_source(str(name_or_path), cache_dir)


def prepared_folder(source: Source, *, size_px: int, cache_dir: Path) -> Path:
    """Where the arrays of a source are, or will be, at one size."""
    parts = (
        FORMAT_VERSION,
        PREPROCESSING_VERSION,
        PIL.__version__,
        size_px,
        source.revision,
        source.version(),
    )
    key = hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
    safe_name = re.sub(r"[^\w.-]", "_", source.name)
    return cache_dir / "data" / f"{safe_name}-{size_px}px-{key}"


def _read_or_prepare(
    source: Source, size_px: int, folder: Path, progress: Progress | None
) -> PreparedImages:
    if folder.exists():
        try:
            return read_prepared(folder)
        except BadData as error:
            print(f"warning: prepared data are damaged and made again: {error}", file=sys.stderr)
            remove_folder(folder)
    prepare_images(source, size_px=size_px, folder=folder, progress=progress)
    return read_prepared(folder)


def _decide(
    name: str, prepared: PreparedImages, *, seed: int, fractions: SplitFractions | None
) -> ImageSet:
    """Settle the roles and splits that the source left open."""
    split = prepared.splits
    if (split == OPEN).any():
        by_class = split_classes(
            prepared.class_names, seed=seed, fractions=fractions or SplitFractions()
        )
        split = by_class[prepared.labels]
    elif fractions is not None:
        raise BadArgument(f"{name} comes with its own splits, so split fractions can't be set")
    if (prepared.roles == OPEN).any():
        # Within a class and a split: each side of a closed set's split gets its queries.
        groups = prepared.labels * len(SPLITS) + split
        is_query = assign_roles(prepared.item_names, groups, seed=seed)
    else:
        is_query = prepared.roles == 1
    _check_sides(name, split, is_query)
    decided = prepared.sha256.encode() + split.tobytes() + is_query.tobytes()
    return ImageSet(
        name=name,
        images=prepared.images,
        labels=prepared.labels,
        class_names=prepared.class_names,
        is_query=is_query,
        split=split,
        item_names=prepared.item_names,
        sha256=hashlib.sha256(decided).hexdigest(),
        licences=prepared.licences,
        drops=prepared.drops,
    )


def _check_sides(name: str, split: npt.NDArray[np.int8], is_query: npt.NDArray[np.bool_]) -> None:
    counts = {
        split_name: (
            int(np.count_nonzero(is_query[split == position])),
            int(np.count_nonzero(~is_query[split == position])),
        )
        for position, split_name in enumerate(SPLITS)
    }
    if min(min(pair) for pair in counts.values()) < 1:
        shown = ", ".join(f"{key} {q} and {g}" for key, (q, g) in counts.items())
        raise BadData(f"every split of {name} must have query and gallery images, got {shown}")
