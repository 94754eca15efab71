"""The commands that make a gallery searchable, and say what an index is."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.cli.index_changes import add, compact, recode, remove
from cmpc.cli.index_engines import from_lance, to_lance, to_pgvector, to_qdrant
from cmpc.cli.index_faiss import from_faiss, to_faiss
from cmpc.cli.options import (
    EXISTING_FILE,
    EXISTING_PATH,
    cache_dir_option,
    data_option,
    filled,
    ids_option,
    json_option,
    network_of_option,
)

if TYPE_CHECKING:
    from cmpc_search.stages.indexing import IndexOrder

__all__ = ["index"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildIndexOptions:
    """What to index, and how."""

    embeddings: Path
    index_path: Path
    metric: str
    mode: str | None
    engine: str
    effort: int | None
    storage: str | None
    rows_per_shard: int | None
    ids_path: Path | None
    gallery_path: Path | None
    data_set: str | None
    cache_dir: Path
    as_json: bool

    def order(self) -> "IndexOrder":
        """Return what is ordered."""
        from cmpc_search.stages.indexing import IndexOrder

        return IndexOrder(
            embeddings=self.embeddings,
            index_path=self.index_path,
            cache_dir=self.cache_dir,
            metric=self.metric,
            mode=self.mode or ("exact" if self.engine == "cmpc" else self.engine),
            storage=self.storage,
            effort=self.effort,
            rows_per_shard=self.rows_per_shard,
            ids_path=self.ids_path,
            gallery_folder=self.gallery_path,
            data=self.data_set,
        )


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
    type=click.Choice(["exact", "codes"]),
    help="exact finds what a search through all embeddings finds; codes keeps 4 to 40 times "
    "less, and its recall is measured and told.  [default: exact]",
)
@click.option(
    "--engine",
    type=click.Choice(["cmpc", "ivf", "hnsw"]),
    default="cmpc",
    show_default=True,
    help="Who searches: cmpc, or FAISS in inverted lists or a graph, for galleries past a search "
    "through all; their recall is measured and told.",
)
@click.option(
    "--effort",
    type=click.IntRange(min=1),
    help="How hard FAISS tries: the lists that ivf visits, the candidates that hnsw keeps.  "
    "[default: 16; 64]",
)
@click.option(
    "--storage",
    type=click.Choice(["float32", "float16", "int8", "binary"]),
    help="What is kept of a value: float32 or float16 in mode exact, int8 or binary in mode "
    "codes.  [default: float32; int8]",
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
@filled(BuildIndexOptions)
def build(options: BuildIndexOptions) -> None:
    """Write an index of embeddings.

    EMBEDDINGS is a folder made by `cmpc gallery`, a safetensors file with a tensor `embeddings`, a
    Parquet or .npz file with columns `embedding` and `id`, or a .npy file, which is read a piece at
    a time and does not say how its items are called (--ids). Which network made them, only the
    first two may tell (--gallery). With --data only the items that stand on the gallery side of
    that data set are indexed: a query must not find itself.

    \b
    Examples:
      cmpc index build galleries/emoji --data emoji --out gallery.index
      cmpc index build shop.npy --ids shop.txt --gallery galleries/shop --out shop.index
      cmpc index build shop.npy --mode codes --storage binary --out small.index
      cmpc index build large.npy --rows-per-shard 1000000 --out large-index
      cmpc index build large.npy --engine hnsw --effort 200 --out large.index
    """
    from cmpc.cli.publishing import publish
    from cmpc.progress import TerminalObserver
    from cmpc.reports.index import built_report
    from cmpc_search.stages.indexing import run_indexing

    check_target(options)
    built = run_indexing(options.order(), TerminalObserver())
    publish(built_report(options.index_path, built), as_json=options.as_json)


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
    from cmpc.cli.publishing import publish
    from cmpc.reports.index import index_report
    from cmpc_kernels import open_index

    opened = open_index(index_path, verify=verify)
    publish(index_report(index_path, opened), as_json=as_json)


@index.command()
@click.argument("index_path", metavar="INDEX", type=EXISTING_PATH)
@click.argument("certificate_path", metavar="CERTIFICATE", type=EXISTING_FILE)
@json_option
def verify(index_path: Path, certificate_path: Path, as_json: bool) -> None:
    """Check that certified answers are the exact ones.

    CERTIFICATE is what `cmpc query --certificate` wrote of this index. All files of the index are
    read and compared with their checksums, and each query with every row in float64, by the
    definition alone: nothing that makes a search fast takes part.

    \b
    Example:
      cmpc index verify gallery.index cat.json
    """
    from cmpc.cli.publishing import publish
    from cmpc.reports.index import verified_report
    from cmpc_kernels import Certificate

    certificate = Certificate.load(certificate_path)
    certificate.verify(index_path)
    publish(verified_report(index_path, certificate), as_json=as_json)


def check_target(options: BuildIndexOptions) -> None:
    """Refuse a target that would take something from the user, before anything is read."""
    from cmpc.cli.output_files import INDEX, check_new_folder, check_output
    from cmpc_kernels import ShardedIndex

    if options.engine != "cmpc" and options.mode is not None:
        raise click.UsageError(f"--mode is for the engine cmpc, leave it out with {options.engine}")
    path = options.index_path
    if options.rows_per_shard is not None:
        if not ShardedIndex.is_unfinished_in(path):
            check_new_folder("--out", path)
    elif path.is_dir():
        raise click.UsageError(f"--out must be a file, {path} is a folder; or set --rows-per-shard")
    else:
        check_output("--out", path, INDEX, inputs=[options.embeddings, options.ids_path])


CHANGES = (add, remove, compact, recode)
EXPORTS = (to_faiss, from_faiss, to_lance, from_lance, to_qdrant, to_pgvector)
for command in (*CHANGES, *EXPORTS):
    index.add_command(command)
