"""The commands that carry an index into a FAISS file and back."""

from pathlib import Path

import click

from cmpc.cli.options import EXISTING_FILE, FILE, json_option, network_of_option

__all__ = ["from_faiss", "to_faiss"]


@click.command("to-faiss")
@click.argument("index_path", metavar="INDEX", type=EXISTING_FILE)
@click.argument("faiss_path", metavar="FAISS", type=FILE)
@json_option
def to_faiss(index_path: Path, faiss_path: Path, as_json: bool) -> None:
    """Write the rows of an index as a flat FAISS index.

    Item names, labels and the network's hash stay behind: a FAISS file has no place for them. The
    rows of a cosine index have length 1 and are searched by inner product there.

    \b
    Example:
      cmpc index to-faiss gallery.index gallery.faiss
    """
    from cmpc.cli.output_files import FAISS, check_output
    from cmpc.cli.publishing import publish
    from cmpc.reports.base import facts_report
    from cmpc_kernels import GalleryIndex
    from cmpc_kernels import to_faiss as convert

    check_output("FAISS", faiss_path, FAISS, inputs=[index_path])
    index = GalleryIndex.load(index_path)
    convert(index, faiss_path)
    facts: dict[str, object] = {
        "faiss": faiss_path,
        "num_items": len(index),
        "metric": "l2" if index.metric == "l2" else "ip",
        "num_bytes": faiss_path.stat().st_size,
    }
    publish(facts_report("FAISS file", facts), as_json=as_json)


@click.command("from-faiss")
@click.argument("faiss_path", metavar="FAISS", type=EXISTING_FILE)
@click.argument("index_path", metavar="INDEX", type=FILE)
@click.option(
    "--metric",
    type=click.Choice(["cosine", "ip", "l2"]),
    help="Say cosine where the rows have length 1.  [default: what the file says]",
)
@network_of_option
@json_option
def from_faiss(
    faiss_path: Path,
    index_path: Path,
    metric: str | None,
    gallery_path: Path | None,
    as_json: bool,
) -> None:
    """Read the rows of a FAISS file into an index.

    The file may be flat, IVF flat, HNSW flat or scalar quantised, with ids of its own. Open only
    files that you trust: FAISS reads them with native code.

    \b
    Example:
      cmpc index from-faiss shop.faiss shop.index --metric cosine
    """
    from cmpc.cli.output_files import INDEX, check_output
    from cmpc.cli.publishing import publish
    from cmpc.progress import TerminalObserver
    from cmpc.reports.base import facts_report
    from cmpc_search.stages.indexing import run_faiss_import

    check_output("INDEX", index_path, INDEX, inputs=[faiss_path])
    index = run_faiss_import(
        faiss_path,
        index_path,
        metric=metric,
        gallery_folder=gallery_path,
        observer=TerminalObserver(),
    )
    facts: dict[str, object] = {
        "index": index_path,
        "num_items": len(index),
        "metric": index.metric,
        "num_bytes": index_path.stat().st_size,
    }
    publish(facts_report("index", facts), as_json=as_json)
