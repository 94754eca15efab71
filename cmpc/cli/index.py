"""The commands that make a gallery searchable, and say what an index is."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cmpc.cli.index_changes import add, remove
from cmpc.cli.index_faiss import from_faiss, to_faiss
from cmpc.cli.index_writing import changing, network_of, save_new
from cmpc.cli.options import (
    EXISTING_PATH,
    cache_dir_option,
    data_option,
    ids_option,
    json_option,
    network_of_option,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from cmpc_kernels import GalleryIndex, IndexSettings, ShardedIndex
    from cmpc_search.embeddings import Embeddings

__all__ = ["index"]

NUM_RECALLED, NUM_RECALL_QUERIES = 10, 256


class BuildsUnlessTold(click.Group):
    """A group whose command `build` may be left out, since it is what most people want."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `build` in front of arguments that begin with no command."""
        if args and args[0] not in {*self.list_commands(ctx), *ctx.help_option_names}:
            args = ["build", *args]
        return super().parse_args(ctx, args)


@click.group(cls=BuildsUnlessTold)
def index() -> None:
    """Turn gallery embeddings into an index that `cmpc query` searches.

    `cmpc index EMBEDDINGS` is short for `cmpc index build EMBEDDINGS`.

    \b
    Examples:
      cmpc index galleries/emoji --data emoji --out gallery.index
      cmpc index info gallery.index
    """


@index.command()
@click.argument("embeddings", type=EXISTING_PATH)
@click.option(
    "--out",
    "index_path",
    type=click.Path(path_type=Path),
    required=True,
    help="The index file to write; with --rows-per-shard the folder.",
)
@click.option(
    "--metric",
    type=click.Choice(["cosine", "ip", "l2"]),
    default="cosine",
    show_default=True,
    help="How near two embeddings are: angle, inner product or squared distance.",
)
@click.option(
    "--mode",
    type=click.Choice(["exact", "fast"]),
    default="exact",
    show_default=True,
    help="exact finds what a search through all embeddings finds; fast keeps 4 to 40 times less, "
    "and its recall is measured and told.",
)
@click.option(
    "--storage",
    type=click.Choice(["float32", "float16", "int8", "binary"]),
    help="What is kept of a value: float32 or float16 in exact mode, int8 or binary in fast mode.  "
    "[default: float32; int8]",
)
@click.option(
    "--rows-per-shard",
    type=click.IntRange(min=1),
    help="Write a folder of index files of at most this many items, for galleries larger than "
    "memory.",
)
@ids_option
@network_of_option
@data_option
@cache_dir_option
@json_option
@click.pass_context
def build(ctx: click.Context, /, **_: object) -> None:
    """Write an index of embeddings.

    EMBEDDINGS is a folder made by `cmpc gallery`, a safetensors file with a tensor `embeddings`, or
    a .npy file, which is read a piece at a time and says neither how its items are called (--ids)
    nor which network made it (--gallery). With --data only the items that stand on the
    gallery side of that data set are indexed: a query must not find itself.

    \b
    Examples:
      cmpc index build galleries/emoji --data emoji --out gallery.index
      cmpc index build shop.npy --ids shop.txt --gallery galleries/shop --out shop.index
      cmpc index build shop.npy --mode fast --storage binary --out small.index
      cmpc index build large.npy --rows-per-shard 1000000 --out large-index
    """
    from cmpc.output import emit, make_table, say
    from cmpc_kernels import IndexSettings
    from cmpc_search.directions import check_directions

    options = ctx.params
    path, rows_per_shard = options["index_path"], options["rows_per_shard"]
    check_target(path, rows_per_shard, inputs=[options["embeddings"], options["ids_path"]])
    found = embeddings_in(options)
    if options["metric"] == "cosine":
        check_directions(found.rows, found.item_names, str(options["embeddings"]))
    settings = IndexSettings(
        metric=options["metric"],
        mode=options["mode"],
        storage=options["storage"],
        network_sha256=network_of(found, options["gallery_path"]),
    )
    built = write_index(path, found, settings, rows_per_shard)
    if settings.network_sha256 is None:
        say("`cmpc query` must know which gallery network made the rows: build with --gallery")
    facts = facts_of(path, built)
    if options["mode"] == "fast":
        facts |= recall_of(built, found.rows)
    emit(facts, make_table(["index", ""], facts.items()), as_json=options["as_json"])


@index.command()
@click.argument("index_path", metavar="INDEX", type=EXISTING_PATH)
@click.option("--verify", is_flag=True, help="Read all of it and compare the checksums.")
@json_option
def info(index_path: Path, verify: bool, as_json: bool) -> None:
    """Say what an index holds, how large it is, and what it wants of queries.

    INDEX is a file or a folder of shards.

    \b
    Examples:
      cmpc index info gallery.index
      cmpc index info large-index --verify --json
    """
    from cmpc.output import emit, make_table
    from cmpc_kernels import open_index

    opened = open_index(index_path, verify=verify)
    facts = facts_of(index_path, opened)
    document = facts | {"query_contract": opened.query_contract().to_json()}
    emit(document, make_table(["index", ""], facts.items()), as_json=as_json)


def check_target(path: Path, rows_per_shard: int | None, *, inputs: list[Path | None]) -> None:
    """Refuse a target that would take something from the user, before anything is read."""
    from cmpc.cli.output_files import INDEX, check_new_folder, check_output

    if rows_per_shard is not None:
        check_new_folder("--out", path)
    elif path.is_dir():
        raise click.UsageError(f"--out must be a file, {path} is a folder; or set --rows-per-shard")
    else:
        check_output("--out", path, INDEX, inputs=inputs)


def embeddings_in(options: dict[str, Any]) -> "Embeddings":
    """Return embeddings with what is known of them, those of a data set's gallery side if asked."""
    from cmpc_search.embeddings import read_embeddings

    path, ids_path, data_set = options["embeddings"], options["ids_path"], options["data_set"]
    if data_set is None:
        return read_embeddings(path, ids_path=ids_path)
    from cmpc.progress import progress
    from cmpc_search.data import gallery_item_names
    from cmpc_search.gallery import open_gallery

    # A gallery knows how its data were divided; a bare file is divided as by default.
    opened = open_gallery(path) if path.is_dir() else None
    split_seed = 0 if opened is None else opened.split_seed
    with progress(f"Looking at {data_set}") as steps:
        names = gallery_item_names(
            data_set, cache_dir=options["cache_dir"], seed=split_seed, progress=steps
        )
    if opened is None or ids_path is not None:
        return read_embeddings(path, ids_path=ids_path).named(names)
    return opened.embeddings_of(names)


def write_index(
    path: Path, found: "Embeddings", settings: "IndexSettings", rows_per_shard: int | None
) -> "GalleryIndex | ShardedIndex":
    """Write a file or, if shards have a size, a folder."""
    from cmpc_kernels import GalleryIndex, ShardedIndex

    if rows_per_shard is not None:
        path.mkdir(parents=True, exist_ok=True)
        with changing(path):
            return ShardedIndex.build(
                path,
                found.rows,
                settings,
                rows_per_shard=rows_per_shard,
                item_names=found.item_names,
                labels=found.labels,
            )
    built = GalleryIndex.build_with(
        settings, found.rows, item_names=found.item_names, labels=found.labels
    )
    save_new(built, path)
    return built


def facts_of(path: Path, opened: "GalleryIndex | ShardedIndex") -> dict[str, object]:
    """Return what people ask about an index."""
    files = sorted(path.glob("*.index")) if path.is_dir() else [path]
    parts = opened.bytes_by_part()
    num_bytes = sum(size for part, size in parts.items() if part != "names")
    return {
        "index": path,
        "num_items": len(opened),
        "dimension": opened.dimension,
        "metric": opened.metric,
        "mode": opened.settings.mode,
        "storage": opened.settings.storage,
        "num_files": len(files),
        "num_bytes": sum(file.stat().st_size for file in files),
        "bytes_per_vector": num_bytes / max(1, len(opened)),
        "has_names": opened.item_names is not None,
        "has_labels": opened.labels is not None,
        "network_sha256": opened.network_sha256,
    }


def recall_of(
    built: "GalleryIndex | ShardedIndex", rows: "npt.NDArray[np.float32]"
) -> dict[str, object]:
    """Measure a fast index: some items ask, evenly drawn, and all the others may be found."""
    import numpy as np

    from cmpc_kernels import measure_recall

    asking = np.unique(np.linspace(0, len(rows) - 1, NUM_RECALL_QUERIES).astype(np.int64))
    if len(rows) <= 2 * NUM_RECALL_QUERIES:
        asking = np.arange(0, len(rows), 2)
    may_be_found = np.ones(len(rows), np.bool_)
    may_be_found[asking] = False
    if not may_be_found.any():
        return {}
    measured = measure_recall(
        built, rows[asking], NUM_RECALLED, embeddings=rows, allow=may_be_found
    )
    return {
        f"recall_at_{NUM_RECALLED}": measured.recall,
        "num_recall_queries": measured.num_queries,
    }


for command in (add, remove, to_faiss, from_faiss):
    index.add_command(command)
