"""Make gallery embeddings searchable: an order in, an index with its recall out.

Nothing here needs torch but the gallery that one may name, so it is imported where it is opened.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cmpc_base.files import make_folder
from cmpc_base.progress import SILENT, Observer
from cmpc_kernels import (
    GalleryIndex,
    IndexSettings,
    Recall,
    ShardedIndex,
    from_faiss,
    from_lance,
    index_lock,
    measure_recall,
)
from cmpc_search.data import gallery_item_names
from cmpc_search.directions import check_directions
from cmpc_search.embeddings import Embeddings, read_embeddings
from cmpc_search.errors import BadArgument

if TYPE_CHECKING:
    from cmpc_search.gallery import Gallery

__all__ = [
    "NUM_RECALLED",
    "AnyIndex",
    "BuiltIndex",
    "IndexOrder",
    "changing",
    "run_faiss_import",
    "run_indexing",
    "run_lance_import",
]

AnyIndex = GalleryIndex | ShardedIndex

NUM_RECALLED = 10  # of fewer items: all
NUM_RECALL_QUERIES = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexOrder:
    """What to index, and how.

    Attributes:
        embeddings: A gallery folder, or a file; ``ids_path`` names its items if it does not.
        index_path: The file to write; with ``rows_per_shard`` the folder.
        metric, mode, storage, effort: As in `IndexSettings`.
        gallery_folder: The gallery whose network made the rows, where their file does not say.
        data: Index only what stands on the gallery side of this data set.
    """

    embeddings: Path
    index_path: Path
    cache_dir: Path
    metric: str = "cosine"
    mode: str = "exact"
    storage: str | None = None
    effort: int | None = None
    rows_per_shard: int | None = None
    ids_path: Path | None = None
    gallery_folder: Path | None = None
    data: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BuiltIndex:
    """An index, and how much of the exact answer it finds; None in exact mode."""

    index: AnyIndex
    recall: Recall | None


def run_indexing(order: IndexOrder, observer: Observer = SILENT) -> BuiltIndex:
    """Write an index of embeddings; the recall of one that is not exact is measured.

    Raises:
        BadArgument: the gallery is not that of the embeddings.
        BadEmbeddings: they can't be read, lack an item, or have no direction where one is needed.
    """
    found = _embeddings(order, observer)
    if order.metric == "cosine":
        check_directions(found.rows, found.item_names, str(order.embeddings))
    settings = IndexSettings(
        metric=order.metric,
        mode=order.mode,
        storage=order.storage,
        effort=order.effort,
        network_sha256=_network_of(found, order.gallery_folder),
    )
    built = _write(order, found, settings, observer)
    if settings.network_sha256 is None:
        observer.notice(
            "`cmpc query` must know which gallery network made the rows: build with --gallery"
        )
    recall = _recall(built, found.rows) if order.mode != "exact" else None
    return BuiltIndex(index=built, recall=recall)


def run_faiss_import(
    faiss_path: Path,
    index_path: Path,
    *,
    metric: str | None = None,
    gallery_folder: Path | None = None,
    observer: Observer = SILENT,
) -> GalleryIndex:
    """Write the rows of a FAISS file as an index.

    Raises:
        BadArgument: the gallery has another dimension.
    """
    gallery = None if gallery_folder is None else _open_gallery(gallery_folder)
    network_sha256 = None if gallery is None else gallery.network_sha256
    index = from_faiss(faiss_path, metric=metric, network_sha256=network_sha256)
    if gallery is not None:
        _check_dimension(gallery, index.dimension)
    _save_new(index, index_path, observer)
    return index


def run_lance_import(uri: str, index_path: Path, observer: Observer = SILENT) -> GalleryIndex:
    """Write the items of a Lance dataset as an index."""
    index = from_lance(uri)
    _save_new(index, index_path, observer)
    return index


@contextmanager
def changing(path: Path, observer: Observer = SILENT) -> Iterator[None]:
    """Keep every other program from changing an index while the block reads, changes, writes it.

    Where the file system has no locks nobody is kept from it; who writes last then is refused.

    Raises:
        BadArgument: it is one file of a folder of shards: changed alone, it would not fit the
            others any more.
    """
    folder = path.resolve().parent
    if path.is_file() and path.name.startswith("shard-") and ShardedIndex.is_in(folder):
        raise BadArgument(
            f"an index must be changed as a whole, {path} is one file of the folder {folder}; "
            f"name the folder"
        )
    with index_lock(path, on_wait=observer.notice, if_possible=True):
        yield


def _embeddings(order: IndexOrder, observer: Observer) -> Embeddings:
    """Return embeddings with what is known of them, those of a data set's gallery side if asked."""
    path, ids_path = order.embeddings, order.ids_path
    if order.data is None:
        return read_embeddings(path, ids_path=ids_path)
    # A gallery knows how its data were divided; a bare file is divided as by default.
    opened = _open_gallery(path) if path.is_dir() else None
    split_seed = 0 if opened is None else opened.split_seed
    with observer.progress(f"Looking at {order.data}") as steps:
        names = gallery_item_names(
            order.data, cache_dir=order.cache_dir, seed=split_seed, progress=steps
        )
    if opened is None or ids_path is not None:
        return read_embeddings(path, ids_path=ids_path).named(names)
    return opened.embeddings_of(names)


def _write(
    order: IndexOrder, found: Embeddings, settings: IndexSettings, observer: Observer
) -> AnyIndex:
    """Write a file or, if shards have a size, a folder."""
    path = order.index_path
    if order.rows_per_shard is not None:
        make_folder(path)
        with changing(path, observer):
            return ShardedIndex.build(
                path,
                found.rows,
                settings,
                rows_per_shard=order.rows_per_shard,
                item_names=found.item_names,
                labels=found.labels,
            )
    built = GalleryIndex.build_with(
        settings, found.rows, item_names=found.item_names, labels=found.labels
    )
    _save_new(built, path, observer)
    return built


def _save_new(built: GalleryIndex, path: Path, observer: Observer) -> None:
    """Write an index file, in place of one that may be there; make its folder if there is none."""
    make_folder(path.resolve().parent)
    with changing(path, observer):
        built.save(path)


def _recall(built: AnyIndex, rows: npt.NDArray[np.float32]) -> Recall | None:
    """Measure an index: some items ask, evenly drawn, and all the others may be found."""
    asking = np.unique(np.linspace(0, len(rows) - 1, NUM_RECALL_QUERIES).astype(np.int64))
    if len(rows) <= 2 * NUM_RECALL_QUERIES:
        asking = np.arange(0, len(rows), 2)
    may_be_found = np.ones(len(rows), np.bool_)
    may_be_found[asking] = False
    if not may_be_found.any():
        return None
    return measure_recall(built, rows[asking], NUM_RECALLED, embeddings=rows, allow=may_be_found)


def _network_of(found: Embeddings, gallery_folder: Path | None) -> str | None:
    """Return the hash of the network that made embeddings: what they say, or that of a gallery.

    Raises:
        BadArgument: the embeddings say another network, or have another dimension.
    """
    if gallery_folder is None:
        return found.network_sha256
    gallery = _open_gallery(gallery_folder)
    _check_dimension(gallery, found.rows.shape[1])
    if found.network_sha256 not in (None, gallery.network_sha256):
        raise BadArgument(
            f"--gallery must be that of the embeddings' network {found.network_sha256}, got "
            f"{gallery_folder} with the network {gallery.network_sha256}; leave it out"
        )
    return gallery.network_sha256


def _check_dimension(gallery: "Gallery", dimension: int) -> None:
    if gallery.embedding_dim != dimension:
        raise BadArgument(
            f"--gallery must be that of the embeddings: they have {dimension} dimensions, those of "
            f"{gallery.path} have {gallery.embedding_dim}"
        )


def _open_gallery(path: Path) -> "Gallery":
    from cmpc_search.gallery import open_gallery

    return open_gallery(path)
