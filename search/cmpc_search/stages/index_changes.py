"""Add items to an index, remove some, or write it anew in better form; every item keeps its id.

Who else changes the index meanwhile is waited for. Where that can't be known, as on some disks that
machines share, the change is made anew of what the others left.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmpc_base.name_lists import read_names
from cmpc_base.progress import SILENT, Observer
from cmpc_kernels import GalleryIndex, IndexChanged, ShardedIndex, open_index
from cmpc_search.directions import check_directions
from cmpc_search.embeddings import Embeddings, read_embeddings
from cmpc_search.errors import BadArgument
from cmpc_search.stages.indexing import AnyIndex, changing

__all__ = [
    "ChangedIndex",
    "add_items",
    "compact_items",
    "known_ids",
    "recode_items",
    "remove_items",
]

MAX_TRIES = 20  # each of them met a change by somebody else
MAX_REMOVED_SHARE = 0.2  # of the items that FAISS searches; with more its lists or graph are anew


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangedIndex:
    """How many items came, went or were made anew, or files there are, and how many items now."""

    num_changed: int
    num_items: int


def add_items(
    index_path: Path,
    embeddings: Path,
    ids_path: Path | None = None,
    observer: Observer = SILENT,
) -> ChangedIndex:
    """Add embeddings to an index; those of a folder fill its last shard, then further ones.

    Raises:
        BadArgument: they are of another network, or items of the index already.
        BadEmbeddings: they can't be read, or have no direction where one is needed.
        IndexChanged: others change the index faster than it can be read.
    """
    found = read_embeddings(embeddings, ids_path=ids_path)

    def add(opened: AnyIndex) -> int:
        _check_fits(opened, found)
        if opened.metric == "cosine":
            check_directions(found.rows, found.item_names, str(embeddings))
        return len(opened.add(found.rows, item_names=found.item_names, labels=found.labels))

    return _changed(index_path, add, observer)


def remove_items(index_path: Path, names_path: Path, observer: Observer = SILENT) -> ChangedIndex:
    """Remove the items that a text file names; either all of them, or none.

    Raises:
        BadArgument: a name is no item's.
        IndexChanged: others change the index faster than it can be read.
    """
    names = read_names(names_path)

    def remove(opened: AnyIndex) -> int:
        ids, unknown = known_ids(opened, names)
        if unknown:
            raise BadArgument(
                f"every name must be that of an item, got {len(unknown)} in {names_path} that are "
                f"not, such as {unknown[0]!r}; take them out of the file"
            )
        opened.remove(ids)
        return len(ids)

    return _changed(index_path, remove, observer)


def recode_items(index_path: Path, observer: Observer = SILENT) -> ChangedIndex:
    """Make the codes of all items anew of their rows.

    Raises:
        BadArgument: the index keeps codes only.
        IndexChanged: others change the index faster than it can be read.
    """

    def recode(opened: AnyIndex) -> int:
        opened.recode()
        return len(opened)

    return _changed(index_path, recode, observer)


def compact_items(
    index_path: Path, rows_per_shard: int | None = None, observer: Observer = SILENT
) -> ChangedIndex:
    """Drop what was removed, and join neighbouring shards that fit into one; files are counted.

    Args:
        rows_per_shard: How large the shards of a folder may be from now on.

    Raises:
        BadArgument: a file is asked for shards.
        IndexChanged: others change the index faster than it can be read.
    """

    def compact(opened: AnyIndex) -> int:
        if isinstance(opened, ShardedIndex):
            opened.compact(rows_per_shard)
        elif rows_per_shard is not None:
            raise BadArgument(
                f"--rows-per-shard is for a folder of shards, {index_path} is one file; build the "
                f"index again with it"
            )
        else:
            opened.compact()
        return len(opened.stored_files)

    return _changed(index_path, compact, observer)


def _changed(path: Path, change: Callable[[AnyIndex], int], observer: Observer) -> ChangedIndex:
    """Read, change and write an index; ``change`` returns how many items it met."""
    for _ in range(MAX_TRIES - 1):
        with suppress(IndexChanged):
            return _changed_once(path, change, observer)
    return _changed_once(path, change, observer)


def _changed_once(
    path: Path, change: Callable[[AnyIndex], int], observer: Observer
) -> ChangedIndex:
    with changing(path, observer):
        opened = open_index(path, verify=path.is_file())  # of a folder, what is written anew is
        num_changed = change(opened)
        _save(opened, path)
    return ChangedIndex(num_changed=num_changed, num_items=len(opened))


def known_ids(opened: AnyIndex, names: Sequence[str]) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return the ids of the items with these names, and the names that no item has.

    Items without names go by their ids, as `cmpc query` shows them.
    """
    if opened.item_names is None:
        return _ids_in(opened, names)
    ids = opened.ids_of(names)
    return ids, sorted(set(names) - set(opened.names_of(ids)))


def _ids_in(opened: AnyIndex, texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return those texts that are ids of items, as numbers, and the others."""
    shown = {text for text in texts if text.isascii() and text.isdecimal() and len(text) < 19}
    ids = np.unique(np.array([int(text) for text in shown], np.int64))
    ids = ids[opened.contains(ids)]
    return ids, sorted(set(texts) - set(map(str, ids.tolist())))


def _check_fits(opened: AnyIndex, found: Embeddings) -> None:
    """Refuse embeddings of another network, and items that are in the index already or can't be."""
    if found.network_sha256 not in (None, opened.network_sha256):
        raise BadArgument(
            f"embeddings must be those of the index's network "
            f"{opened.network_sha256 or '(unknown)'}, got those of {found.network_sha256}; "
            f"embed the items with the gallery that the index was built from"
        )
    if opened.item_names is None or not len(opened):
        return
    if found.item_names is None:
        raise BadArgument("the items of this index have names; name the new ones with --ids")
    if there := set(opened.names_of(opened.ids_of(found.item_names))):
        raise BadArgument(
            f"items to add must not be in the index yet, {len(there)} of {len(found.rows)} are, "
            f"such as {min(there)!r}; remove them first with `cmpc index remove`"
        )


def _save(opened: AnyIndex, path: Path) -> None:
    """Write a file anew; a folder of shards has its changes already."""
    if isinstance(opened, GalleryIndex):
        is_cheap = opened.settings.engine == "cmpc"  # a graph of FAISS's must be made anew
        if is_cheap or opened.num_removed > MAX_REMOVED_SHARE * len(opened):
            opened.compact()
        opened.save(path)
