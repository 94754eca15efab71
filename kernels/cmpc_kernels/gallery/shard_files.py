"""The files of a sharded gallery: that each is the one meant, and which item is in which."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_kernels.checks import check_unmasked
from cmpc_kernels.errors import BadIndexFile
from cmpc_kernels.gallery.ids import check_ids, check_mask
from cmpc_kernels.gallery.index import GalleryIndex
from cmpc_kernels.gallery.index_file import IndexFile, Verify
from cmpc_kernels.gallery.shard_manifest import Manifest, ShardFile

__all__ = ["open_shard", "open_shards", "split_filter", "with_shards"]


def open_shards(folder: Path, manifest: Manifest, *, verify: Verify) -> list[GalleryIndex]:
    """Open the shards of a manifest: all of them before the first one is read."""
    files = [open_file(folder, shard) for shard in manifest.shards]
    shards = [as_shard(file, manifest, verify) for file in files]
    if not are_ascending(shards, manifest.next_id):
        raise BadIndexFile(
            f"the shards of {folder} must hold ascending ids, and do not; build it again"
        )
    return shards


def open_shard(
    folder: Path, shard: ShardFile, manifest: Manifest, *, verify: Verify
) -> GalleryIndex:
    """Open one shard; verify what is to be written anew, or a fault of the disk gets a checksum."""
    return as_shard(open_file(folder, shard), manifest, verify)


def open_file(folder: Path, shard: ShardFile) -> IndexFile:
    """Open one file of a folder if it is the one that the manifest means.

    Raises:
        BadIndexFile: it is not there, or another.
        OSError: the system refuses it.
    """
    path = folder / shard.file
    try:
        file = IndexFile.open(path)
    except FileNotFoundError as error:
        raise BadIndexFile(
            f"the gallery {folder} must have its shard {shard.file}, and has not; "
            f"copy it again or build the gallery again"
        ) from error
    if file.stored_as.header_sha256 != shard.header_sha256:
        raise another_file(path)
    return file


def as_shard(file: IndexFile, manifest: Manifest, verify: Verify) -> GalleryIndex:
    shard = GalleryIndex.of_file(file, verify)
    if (shard.settings, shard.dimension) != (manifest.settings, manifest.dimension):
        raise another_file(file.path)
    return shard


def another_file(path: Path) -> BadIndexFile:
    return BadIndexFile(
        f"{path} must be the file that the manifest names, and is another; "
        f"copy the whole folder again or build the gallery again"
    )


def are_ascending(shards: Sequence[GalleryIndex], next_id: int) -> bool:
    """Say whether every shard's ids are above those of the shards before it."""
    bounds = [shard.id_bounds for shard in shards]
    known = [bound for bound in bounds if bound is not None] + [(next_id, next_id)]
    return all(first[1] < second[0] for first, second in itertools.pairwise(known))


def with_shards(
    shards: Sequence[GalleryIndex], ids: npt.ArrayLike
) -> Iterator[tuple[GalleryIndex, int]]:
    """Pair each id with the one shard that may hold it."""
    highest = [-1 if shard.id_bounds is None else shard.id_bounds[1] for shard in shards]
    id_N = check_ids(ids)
    number_N = np.searchsorted(np.maximum.accumulate(highest), id_N)
    for number, item in zip(number_N.tolist(), id_N.tolist(), strict=True):
        yield shards[min(number, len(shards) - 1)], item


def split_filter(
    shards: Sequence[GalleryIndex], allow: npt.ArrayLike | None
) -> list[npt.NDArray[Any] | None]:
    """Return what each shard allows: its part of a mask, or all the ids."""
    if allow is None:
        return [None] * len(shards)
    given = check_unmasked("allow", allow)
    if given.dtype != np.bool_:
        return [check_ids(given)] * len(shards)
    sizes = [len(shard) for shard in shards]
    return list(np.split(check_mask(given, sum(sizes)), np.cumsum(sizes)[:-1]))
