"""The files of a sharded gallery: how a stream is cut into them, and that each is the one meant."""

import errno
import itertools
from collections.abc import Iterator, Sequence, Sized
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_base.errors import MachineFault
from cmpc_kernels.checks import check_unmasked
from cmpc_kernels.errors import BadArgument, BadIndexFile
from cmpc_kernels.gallery.chunks import Chunks, EmbeddingSource
from cmpc_kernels.gallery.ids import check_ids, check_mask
from cmpc_kernels.gallery.index import GalleryIndex
from cmpc_kernels.gallery.index_file import IndexFile, Verify
from cmpc_kernels.gallery.row_store import check_dimension
from cmpc_kernels.gallery.shard_changes import ShardChange
from cmpc_kernels.gallery.shard_manifest import Manifest, ShardFile

__all__ = [
    "open_shard",
    "open_shards",
    "split_filter",
    "with_shards",
    "write_shards",
]


def write_shards(
    change: ShardChange,
    manifest: Manifest,
    embeddings: EmbeddingSource,
    item_names: Sequence[str] | None,
    labels: npt.ArrayLike | None,
) -> Manifest:
    """Write items behind the last one, a shard at a time; return a manifest that names them too."""
    num_new, files, dimension = 0, list(manifest.shards), manifest.dimension or None
    label_N = None if labels is None else check_unmasked("labels", labels)
    for pieces in cut(Chunks.of(embeddings), manifest.rows_per_shard):
        part = slice(num_new, num_new + manifest.rows_per_shard)
        shard = GalleryIndex.build_with(
            manifest.settings,
            pieces,
            item_names=None if item_names is None else item_names[part],
            labels=None if label_N is None else label_N[part],
            first_id=manifest.next_id + num_new,
        )
        check_dimension(shard.dimension, dimension)
        dimension, num_new = shard.dimension, num_new + len(shard)
        files.append(change.save(shard))
    check_total("item_names", item_names, num_new)
    check_total("labels", label_N, num_new)
    assert dimension is not None, "chunks end with an error if there is none"
    next_id = manifest.next_id + num_new
    return replace(manifest, shards=tuple(files), dimension=dimension, next_id=next_id)


def open_shards(folder: Path, manifest: Manifest, *, verify: Verify) -> list[GalleryIndex]:
    """Open the shards of a manifest: all of them before the first one is read."""
    files = [open_file(folder, shard) for shard in manifest.shards]
    for file in files:
        file.verify(verify)
    shards = [as_shard(file, manifest) for file in files]
    if not are_ascending(shards, manifest.next_id):
        raise BadIndexFile(
            f"the shards of {folder} must hold ascending ids, and do not; build it again"
        )
    return shards


def open_shard(folder: Path, shard: ShardFile, manifest: Manifest) -> GalleryIndex:
    """Open one shard without reading it."""
    return as_shard(open_file(folder, shard), manifest)


def open_file(folder: Path, shard: ShardFile) -> IndexFile:
    """Open one file of a folder if it is the one that the manifest means.

    Raises:
        BadIndexFile: it is not there, or another.
        MachineFault: this process may open no more files.
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
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        raise MachineFault(
            f"each shard of the gallery {folder} is an open file, and the system allows this "
            f"process fewer; raise the limit with `ulimit -n`, or build it again of larger shards"
        ) from error
    if file.stored_as.header_sha256 != shard.header_sha256:
        raise another_file(path)
    return file


def as_shard(file: IndexFile, manifest: Manifest) -> GalleryIndex:
    shard = GalleryIndex.of_file(file)
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


def cut(chunks: Chunks, rows_per_shard: int) -> Iterator[Iterator[npt.NDArray[Any]]]:
    """Yield the pieces of one shard after the other; no piece belongs to two."""

    def numbered() -> Iterator[tuple[int, npt.NDArray[Any]]]:
        start = 0
        for row_ND in chunks:
            taken = 0
            while taken < len(row_ND) or not len(row_ND):
                number, filled = divmod(start, rows_per_shard)
                piece = row_ND[taken : taken + rows_per_shard - filled]
                yield number, piece
                taken, start = taken + len(piece), start + len(piece)
                if not len(row_ND):
                    break

    for _, pieces in itertools.groupby(numbered(), key=lambda pair: pair[0]):
        yield (piece for _, piece in pieces)


def check_total(what: str, values: Sized | None, num_new: int) -> None:
    """Refuse names or labels for more or fewer items than came."""
    if values is not None and len(values) != num_new:
        raise BadArgument(
            f"{what} must hold one for each of the {num_new} items, got {len(values)}"
        )
