"""The commands that add items to an index and remove some; every other item keeps its id."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.cli.index_writing import changing
from cmpc.cli.options import EXISTING_FILE, EXISTING_PATH, ids_option, json_option

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from cmpc_kernels import GalleryIndex, ShardedIndex
    from cmpc_search.embeddings import Embeddings

__all__ = ["add", "known_ids", "remove"]


@click.command()
@click.argument("index_path", metavar="INDEX", type=EXISTING_PATH)
@click.argument("embeddings", type=EXISTING_PATH)
@ids_option
@json_option
def add(index_path: Path, embeddings: Path, ids_path: Path | None, as_json: bool) -> None:
    """Add embeddings to an index.

    A folder of shards gets further shards. Embeddings of another gallery network than that of the
    index are refused, and names that it has already. To replace items, remove them first.

    \b
    Examples:
      cmpc index add shop.index new-items.safetensors
      cmpc index add large-index new-items.npy
    """
    from cmpc_kernels import open_index
    from cmpc_search.directions import check_directions
    from cmpc_search.embeddings import read_embeddings

    found = read_embeddings(embeddings, ids_path=ids_path)
    with changing(index_path):
        opened = open_index(index_path)
        check_fits(opened, found)
        if opened.metric == "cosine":
            check_directions(found.rows, found.item_names, str(embeddings))
        ids = opened.add(found.rows, item_names=found.item_names, labels=found.labels)
        save_file(opened, index_path)
    tell({"index": index_path, "num_added": len(ids), "num_items": len(opened)}, as_json=as_json)


@click.command()
@click.argument("index_path", metavar="INDEX", type=EXISTING_PATH)
@click.argument("names_path", metavar="NAMES", type=EXISTING_FILE)
@json_option
def remove(index_path: Path, names_path: Path, as_json: bool) -> None:
    """Remove the items that a text file names, one name a line.

    Items without names go by their ids. Either all of them are removed or, if one is no item's
    name, none.

    \b
    Example:
      cmpc index remove shop.index sold-out.txt
    """
    from cmpc_base.name_lists import read_names
    from cmpc_kernels import open_index

    names = read_names(names_path)
    with changing(index_path):
        opened = open_index(index_path)
        ids, unknown = known_ids(opened, names)
        if unknown:
            raise click.UsageError(
                f"every name must be that of an item, got {len(unknown)} in {names_path} that are "
                f"not, such as {unknown[0]!r}; take them out of the file"
            )
        opened.remove(ids)
        save_file(opened, index_path)
    tell({"index": index_path, "num_removed": len(ids), "num_items": len(opened)}, as_json=as_json)


def check_fits(opened: "GalleryIndex | ShardedIndex", found: "Embeddings") -> None:
    """Refuse embeddings of another network, and items that are in the index already or can't be.

    Raises:
        click.UsageError: they are.
    """
    if found.network_sha256 not in (None, opened.network_sha256):
        raise click.UsageError(
            f"embeddings must be those of the index's network "
            f"{opened.network_sha256 or '(unknown)'}, got those of {found.network_sha256}; "
            f"embed the items with the gallery that the index was built from"
        )
    if opened.item_names is None or not len(opened):
        return
    if found.item_names is None:
        raise click.UsageError("the items of this index have names; name the new ones with --ids")
    if there := set(found.item_names).intersection(opened.item_names):
        raise click.UsageError(
            f"items to add must not be in the index yet, {len(there)} of {len(found.rows)} are, "
            f"such as {min(there)!r}; remove them first with `cmpc index remove`"
        )


def known_ids(
    opened: "GalleryIndex | ShardedIndex", names: Sequence[str]
) -> tuple["npt.NDArray[np.int64]", list[str]]:
    """Return the ids of the items with these names, and the names that no item has.

    Items without names go by their ids, as `cmpc query` shows them.
    """
    if opened.item_names is None:
        return ids_in(opened, names)
    ids = opened.ids_of(names)
    return ids, sorted(set(names) - set(opened.names_of(ids)))


def ids_in(
    opened: "GalleryIndex | ShardedIndex", texts: Sequence[str]
) -> tuple["npt.NDArray[np.int64]", list[str]]:
    """Return those texts that are ids of items, as numbers, and the others."""
    import numpy as np

    shown = {text for text in texts if text.isascii() and text.isdecimal() and len(text) < 19}
    ids = np.intersect1d(np.array([int(text) for text in shown], np.int64), opened.ids)
    return ids, sorted(set(texts) - set(map(str, ids.tolist())))


def tell(facts: dict[str, object], *, as_json: bool) -> None:
    """Print what was done."""
    from cmpc.output import emit, make_table

    emit(facts, make_table(["index", ""], facts.items()), as_json=as_json)


def save_file(opened: "GalleryIndex | ShardedIndex", path: Path) -> None:
    """Write a file anew; a folder of shards has its changes already."""
    from cmpc_kernels import GalleryIndex

    if isinstance(opened, GalleryIndex):
        opened.compact()
        opened.save(path)
