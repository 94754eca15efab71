"""The commands that add items to an index, remove some and write it anew; each keeps its id."""

from pathlib import Path

import click

from cmpc.cli.options import EXISTING_FILE, EXISTING_PATH, ids_option, json_option

__all__ = ["add", "compact", "recode", "remove"]


@click.command()
@click.argument("index_path", metavar="INDEX", type=EXISTING_PATH)
@click.argument("embeddings", type=EXISTING_PATH)
@ids_option
@json_option
def add(index_path: Path, embeddings: Path, ids_path: Path | None, as_json: bool) -> None:
    """Add embeddings to an index.

    They fill the last shard of a folder, then further ones. Embeddings of another gallery network
    than that of the index are refused, and names that it has already. To replace items, remove them
    first.

    \b
    Examples:
      cmpc index add shop.index new-items.safetensors
      cmpc index add large-index new-items.npy
    """
    from cmpc.cli.publishing import publish
    from cmpc.progress import TerminalObserver
    from cmpc.reports.index import changed_report
    from cmpc_search.stages.index_changes import add_items

    changed = add_items(index_path, embeddings, ids_path, TerminalObserver())
    publish(changed_report(index_path, changed, "num_added"), as_json=as_json)


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
    from cmpc.cli.publishing import publish
    from cmpc.progress import TerminalObserver
    from cmpc.reports.index import changed_report
    from cmpc_search.stages.index_changes import remove_items

    changed = remove_items(index_path, names_path, TerminalObserver())
    publish(changed_report(index_path, changed, "num_removed"), as_json=as_json)


@click.command()
@click.argument("index_path", metavar="INDEX", type=EXISTING_PATH)
@click.option(
    "--rows-per-shard",
    type=click.IntRange(min=1),
    help="How large shards may be from now on.  [default: as they were built]",
)
@json_option
def compact(index_path: Path, rows_per_shard: int | None, as_json: bool) -> None:
    """Join small shards, and drop what was removed.

    Neighbours are joined that fit into one shard, which makes searching and opening faster. Who has
    the index open searches on. The files that are replaced stay until the next change, so the disk
    must have room for both.

    \b
    Examples:
      cmpc index compact large-index
      cmpc index compact large-index --rows-per-shard 2000000
    """
    from cmpc.cli.publishing import publish
    from cmpc.progress import TerminalObserver
    from cmpc.reports.index import changed_report
    from cmpc_search.stages.index_changes import compact_items

    changed = compact_items(index_path, rows_per_shard, TerminalObserver())
    publish(changed_report(index_path, changed, "num_files"), as_json=as_json)


@click.command()
@click.argument("index_path", metavar="INDEX", type=EXISTING_PATH)
@json_option
def recode(index_path: Path, as_json: bool) -> None:
    """Make the codes of an index anew of its rows.

    That mends an index whose codes a faulty version of cmpc wrote; `cmpc index info` tells the
    version. Embeddings, ids and names stay as they are. An index in mode codes keeps nothing else:
    build it again.

    \b
    Example:
      cmpc index recode shop.index
    """
    from cmpc.cli.publishing import publish
    from cmpc.progress import TerminalObserver
    from cmpc.reports.index import changed_report
    from cmpc_search.stages.index_changes import recode_items

    changed = recode_items(index_path, TerminalObserver())
    publish(changed_report(index_path, changed, "num_recoded"), as_json=as_json)
