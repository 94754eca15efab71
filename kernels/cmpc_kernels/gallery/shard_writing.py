"""Write items as shards: how a stream is cut into them, and which of them are put together."""

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt

from cmpc_kernels.checks import check_unmasked
from cmpc_kernels.errors import BadArgument
from cmpc_kernels.gallery.chunks import Chunks, EmbeddingSource
from cmpc_kernels.gallery.index import GalleryIndex
from cmpc_kernels.gallery.row_store import check_dimension
from cmpc_kernels.gallery.shard_changes import ShardChange
from cmpc_kernels.gallery.shard_manifest import Manifest, ShardFile

__all__ = ["NewItems", "grouped", "joined", "write_shards"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NewItems:
    """What is to be added; names and labels are those of all items, or None."""

    embeddings: EmbeddingSource
    names: Sequence[str] | None = None
    labels: npt.ArrayLike | None = None


def write_shards(
    change: ShardChange, manifest: Manifest, new: NewItems, unfilled: GalleryIndex | None = None
) -> Manifest:
    """Write items behind the last one, a shard at a time; return a manifest that names them too.

    ``unfilled`` is the manifest's last shard, which gets the first of them; it is changed.
    """
    num_new, files, dimension = 0, list(manifest.shards), manifest.dimension or None
    label_N = None if new.labels is None else check_unmasked("labels", new.labels)
    num_filled = 0 if unfilled is None else len(unfilled)
    for pieces in cut(Chunks.of(new.embeddings), manifest.rows_per_shard, num_filled):
        part = slice(num_new, num_new + manifest.rows_per_shard - num_filled)
        shard = GalleryIndex.build_with(
            manifest.settings,
            pieces,
            item_names=None if new.names is None else new.names[part],
            labels=None if label_N is None else label_N[part],
            first_id=manifest.next_id + num_new,
        )
        check_dimension(shard.dimension, dimension)
        dimension, num_new = shard.dimension, num_new + len(shard)
        if not len(shard) and files:
            continue
        if unfilled is not None:
            files.pop()
            shard = joined([unfilled, shard])
        files.append(change.save(shard))
        unfilled, num_filled = None, 0
    check_total("item_names", new.names, num_new)
    check_total("labels", label_N, num_new)
    assert dimension is not None, "chunks end with an error if there is none"
    next_id = manifest.next_id + num_new
    return replace(manifest, shards=tuple(files), dimension=dimension, next_id=next_id)


def joined(shards: Sequence[GalleryIndex]) -> GalleryIndex:
    """Return one compact index of shards in the order of their ids, which stay; one is changed."""
    first, *others = [shard for shard in shards if len(shard)] or shards[:1]
    first.compact()
    first.reserve(sum(map(len, shards)))
    for other in others:
        first.merge(other, keep_ids=True)
    return first


def grouped(
    shards: Iterable[tuple[ShardFile, GalleryIndex]], rows_per_shard: int
) -> Iterator[list[tuple[ShardFile, GalleryIndex]]]:
    """Yield neighbours that fit into one shard together; a large one comes alone."""
    group: list[tuple[ShardFile, GalleryIndex]] = []
    num_items = 0
    for file, shard in shards:
        if group and num_items + len(shard) > rows_per_shard:
            yield group
            group, num_items = [], 0
        group.append((file, shard))
        num_items += len(shard)
    yield group


def cut(
    chunks: Chunks, rows_per_shard: int, num_filled: int
) -> Iterator[Iterator[npt.NDArray[Any]]]:
    """Yield the pieces of one shard after the other; no piece belongs to two.

    The first one has room for all but ``num_filled`` rows.
    """

    def numbered() -> Iterator[tuple[int, npt.NDArray[Any]]]:
        start = num_filled
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
