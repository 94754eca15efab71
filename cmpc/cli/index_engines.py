"""The commands that carry an index to other engines, past one machine, and from Lance back."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.cli.options import EXISTING_PATH, FILE, json_option

if TYPE_CHECKING:
    from cmpc_search.stages.indexing import AnyIndex

__all__ = ["from_lance", "to_lance", "to_pgvector", "to_qdrant"]

index_argument = click.argument("index_path", metavar="INDEX", type=EXISTING_PATH)


@contextmanager
def exported(index_path: Path, what: str, name: str, *, as_json: bool) -> "Iterator[AnyIndex]":
    """Give an index to be exported in the block, and tell of it after that."""
    from cmpc.cli.publishing import publish
    from cmpc.reports.base import facts_report
    from cmpc_kernels import open_index

    index = open_index(index_path)
    yield index
    contract = index.query_contract().to_json()
    facts: dict[str, object] = {
        what: name,
        "num_items": len(index),
        "dimension": index.dimension,
        "metric": index.metric,
        "network_sha256": index.network_sha256,
    }
    publish(facts_report(what, facts, query_contract=contract), as_json=as_json)


@click.command("to-lance")
@index_argument
@click.argument("dataset")
@json_option
def to_lance(index_path: Path, dataset: str, as_json: bool) -> None:
    """Write an index as a Lance dataset.

    Ray, Spark and LanceDB read it. DATASET is a folder, or the address of one in an object store,
    whose credentials come from the environment. The schema's metadata say what queries must be: the
    query contract. A dataset that is there gets a new version, if its contract is the same.

    \b
    Examples:
      cmpc index to-lance gallery.index gallery.lance
      cmpc index to-lance gallery.index s3://bucket/gallery.lance
    """
    from cmpc_kernels import to_lance as export

    with exported(index_path, "dataset", dataset, as_json=as_json) as index:
        export(index, dataset)


@click.command("from-lance")
@click.argument("dataset")
@click.argument("index_path", metavar="INDEX", type=FILE)
@json_option
def from_lance(dataset: str, index_path: Path, as_json: bool) -> None:
    """Read a Lance dataset into an index.

    It must say what its queries must be, as one of `cmpc index to-lance` does; what others appended
    to it or deleted since is read as it is now.

    \b
    Example:
      cmpc index from-lance gallery.lance gallery.index
    """
    from cmpc.cli.output_files import INDEX, check_output
    from cmpc.cli.publishing import publish
    from cmpc.progress import TerminalObserver
    from cmpc.reports.base import facts_report
    from cmpc_search.stages.indexing import run_lance_import

    check_output("INDEX", index_path, INDEX)
    index = run_lance_import(dataset, index_path, TerminalObserver())
    facts: dict[str, object] = {
        "index": index_path,
        "num_items": len(index),
        "metric": index.metric,
        "num_bytes": index_path.stat().st_size,
    }
    publish(facts_report("index", facts), as_json=as_json)


@click.command("to-qdrant")
@index_argument
@click.argument("collection")
@click.option(
    "--url",
    default="http://localhost:6333",
    show_default=True,
    help="The server; a key comes from the environment, QDRANT_API_KEY.",
)
@json_option
def to_qdrant(index_path: Path, collection: str, url: str, as_json: bool) -> None:
    """Make a collection of Qdrant hold the items of an index.

    Points have the items' ids, with name and label as payload; points that are no items of the
    index are deleted. The collection's metadata say what queries must be: the query contract. A
    collection that is there must have the same contract.

    \b
    Example:
      cmpc index to-qdrant gallery.index gallery --url http://vectors:6333
    """
    from cmpc_kernels import to_qdrant as export
    from cmpc_kernels.engines.qdrant import open_qdrant

    with exported(index_path, "collection", collection, as_json=as_json) as index:
        export(index, open_qdrant(url), collection)


@click.command("to-pgvector")
@index_argument
@click.argument("table")
@click.option(
    "--database",
    default="",
    help="A URL or words of libpq; a password comes from PGPASSWORD or ~/.pgpass.  [default: what "
    "PGHOST, PGDATABASE ... say]",
)
@json_option
def to_pgvector(index_path: Path, table: str, database: str, as_json: bool) -> None:
    """Make a table of PostgreSQL with pgvector hold the items of an index.

    TABLE may have a schema before it. Rows have the items' ids; those that are no items of the
    index are deleted, all in one transaction. The table's comment says what queries must be: the
    query contract. A table that is there must have the same contract.

    \b
    Example:
      cmpc index to-pgvector gallery.index shop.gallery --database postgresql://db/vectors
    """
    from cmpc_kernels import to_pgvector as export
    from cmpc_kernels.engines.pgvector import open_pgvector

    with (
        exported(index_path, "table", table, as_json=as_json) as index,
        open_pgvector(database) as connection,
    ):
        export(index, connection, table)
