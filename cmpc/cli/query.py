"""The command that asks an index with pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.cli.options import (
    EXISTING_FILE,
    EXISTING_PATH,
    FILE,
    bundle_option,
    cache_dir_option,
    data_option,
    filled,
    json_option,
    seed_option,
)

if TYPE_CHECKING:
    from cmpc_search.stages.querying import QueryOrder

__all__ = ["query"]

MAX_K = 10_000  # of each query: more is no answer to look at, and memory that nobody has


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryOptions:
    """Which pictures ask which index, and what to show of it."""

    index_path: Path
    images: tuple[str, ...]
    bundle: Path
    k: int
    allow_path: Path | None
    certificate_path: Path | None
    data_set: str | None
    sample: int | None
    seed: int
    picture: Path | None
    cache_dir: Path
    as_json: bool

    def order(self) -> "QueryOrder":
        """Return what is ordered."""
        from cmpc_search.stages.querying import QueryOrder

        return QueryOrder(
            index_path=self.index_path,
            bundle=self.bundle,
            cache_dir=self.cache_dir,
            images=self.images,
            k=self.k,
            allow_path=self.allow_path,
            certificate_path=self.certificate_path,
            data=self.data_set,
            num_sampled=self.sample or 0,
            seed=self.seed,
        )


@click.command()
@click.argument("index_path", metavar="INDEX", type=EXISTING_PATH)
@click.argument("images", metavar="[IMAGE]...", nargs=-1)
@bundle_option
@click.option(
    "-k", type=click.IntRange(1, MAX_K), default=5, show_default=True, help="Items to find."
)
@click.option(
    "--allow",
    "allow_path",
    type=EXISTING_FILE,
    help="Find only items that this text file names, one name a line; ids, if they have no names.",
)
@click.option(
    "--certificate",
    "certificate_path",
    type=FILE,
    help="Write why these answers are exact, as JSON that `cmpc index verify` checks.",
)
@data_option
@click.option(
    "--sample", type=click.IntRange(min=1), help="Ask with this many test queries of the data set."
)
@seed_option
@click.option(
    "--picture",
    type=FILE,
    help="Draw each query beside what it found, as a PNG.",
)
@cache_dir_option
@json_option
@filled(QueryOptions)
def query(options: QueryOptions) -> None:
    """Find the gallery items that look like a picture.

    INDEX is a file or a folder of shards, made by `cmpc index`. IMAGE is a file or, with --data,
    the name of an item of the data set. The data set also gives the thumbnails of the picture, and
    the classes that tell right neighbours from wrong ones.

    \b
    Examples:
      cmpc query gallery.index cat.png --bundle bundles/emoji
      cmpc query gallery.index cat.png --bundle bundles/emoji --allow in-stock.txt
      cmpc query gallery.index cat.png --bundle bundles/emoji --certificate cat.json
      cmpc query gallery.index --bundle bundles/emoji --data emoji --sample 5 --picture found.png
    """
    if not options.images and options.sample is None:
        raise click.UsageError("name pictures to ask with, or draw some with --data and --sample")

    from cmpc.cli.output_files import CERTIFICATE, PNG, check_output, pictures_of
    from cmpc.cli.publishing import publish
    from cmpc.output import say
    from cmpc.progress import TerminalObserver
    from cmpc.reports.answers import answer_picture, answer_report
    from cmpc_search.stages.querying import run_query

    picture = options.picture
    inputs = [options.index_path, options.allow_path, *map(Path, options.images)]
    inputs += pictures_of(options.data_set)
    if picture is not None:
        check_output("--picture", picture, PNG, inputs=inputs)
    if options.certificate_path is not None:
        check_output("--certificate", options.certificate_path, CERTIFICATE, inputs=inputs)
    order = options.order()
    found = run_query(order, TerminalObserver())
    if picture is not None:
        from cmpc.pictures import save_picture

        save_picture(answer_picture(found), picture)
        say(f"drew {picture}")
    publish(answer_report(order, found), as_json=options.as_json)
