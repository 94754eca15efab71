"""The commands that add items to an index and remove some; every other item keeps its id."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.cli.options import EXISTING_FILE, EXISTING_PATH, ids_option, json_option

if TYPE_CHECKING:
    from cmpc_search.stages.index_changes import ChangedIndex

__all__ = ["add", "remove"]


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
    from cmpc.progress import TerminalObserver
    from cmpc_search.stages.index_changes import add_items

    changed = add_items(index_path, embeddings, ids_path, TerminalObserver())
    tell(index_path, changed, "num_added", as_json=as_json)


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
    from cmpc.progress import TerminalObserver
    from cmpc_search.stages.index_changes import remove_items

    changed = remove_items(index_path, names_path, TerminalObserver())
    tell(index_path, changed, "num_removed", as_json=as_json)


def tell(index_path: Path, changed: "ChangedIndex", name: str, *, as_json: bool) -> None:
    """Print what was done."""
    from cmpc.output import emit, make_table

    facts: dict[str, object] = {
        "index": index_path,
        name: changed.num_changed,
        "num_items": changed.num_items,
    }
    emit(facts, make_table(["index", ""], facts.items()), as_json=as_json)
