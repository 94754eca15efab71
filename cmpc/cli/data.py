"""Which images are there to work with, are they ready, and what do they look like?"""

import time
from dataclasses import dataclass
from pathlib import Path

import click

from cmpc.cli.cache_size import cache_size_option
from cmpc.cli.names import SPLITS
from cmpc.cli.options import (
    EXISTING_FOLDER,
    FILE,
    cache_dir_option,
    filled,
    json_option,
    split_seed_option,
)

__all__ = ["data"]

name_argument = click.argument("name_or_path", metavar="NAME|PATH")
size_option = click.option(
    "--size-px",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Width and height of the images.",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PrepareOptions:
    """Which data set to prepare, and how."""

    name_or_path: str
    copy_path: Path | None
    size_px: int
    split_seed: int
    cache_dir: Path
    as_json: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ShowOptions:
    """What to draw of a data set, and where."""

    name_or_path: str
    sheet_path: Path
    split: str
    num_classes: int
    size_px: int
    split_seed: int
    cache_dir: Path
    as_json: bool


@click.group()
def data() -> None:
    """List, prepare and look at data sets.

    A data set is a name from the list, a folder with a folder of images per class, or a CSV file
    with the columns path and label, and if you like split, role, group (where an image comes from,
    such as a camera; those of a query's own label and group don't count as its answers) and id
    (what a database calls the item; embeddings and answers go by it, by the path otherwise).
    Images with an empty label are trained on wherever no class is needed. All picture formats that
    the installed Pillow reads are read, and SVG, up to 400 megapixels.

    \b
    Examples:
      cmpc data list
      cmpc data prepare emoji9 --size-px 64
      cmpc data show ./photos --out sheet.png
    """


@data.command("list")
@cache_dir_option
@json_option
def list_sets(cache_dir: Path, as_json: bool) -> None:
    """List the data sets that have a name, and where your own copies of some are.

    \b
    Example:
      cmpc data list
    """
    from cmpc.cli.publishing import publish
    from cmpc.reports.data_sets import catalogue_report
    from cmpc_search.data import CATALOGUE
    from cmpc_search.data.cache import prepared_sizes
    from cmpc_search.data.own_copies import kept_copy

    sizes_px = {name: prepared_sizes(name, cache_dir) for name in CATALOGUE}
    copies = {name: kept_copy(name, cache_dir) for name in CATALOGUE}
    publish(catalogue_report(CATALOGUE, sizes_px, copies), as_json=as_json)


@data.command()
@name_argument
@click.option(
    "--from",
    "copy_path",
    type=EXISTING_FOLDER,
    help="Your own copy of a data set that can't be fetched, such as grocery; it is remembered.",
)
@size_option
@split_seed_option
@cache_dir_option
@cache_size_option
@json_option
@filled(PrepareOptions)
def prepare(options: PrepareOptions) -> None:
    """Bring the images of a data set to one size.

    It is fetched if need be and kept in the cache. What is left out and what is passed over in a
    folder is named with the reason: the first few as text, all with --json.

    Which pictures take part is decided once, at 64 px: of equal pictures of a class one stays, and
    equal pictures of two classes go. So every size has the same images and classes.

    Test classes are fixed by their names; another --split-seed divides the other classes otherwise,
    and prepares nothing again.

    \b
    Examples:
      cmpc data prepare emoji9 --size-px 64
      cmpc data prepare grocery --from ~/GroceryStoreDataset --size-px 224
    """
    from cmpc.cli.publishing import publish
    from cmpc.output import say
    from cmpc.progress import TerminalObserver
    from cmpc.reports.data_sets import passed_over_sentences, prepared_report
    from cmpc_search.data.fetching import Fetcher
    from cmpc_search.data.sources.catalogue import find_source, use_copy
    from cmpc_search.stages.data_sets import prepare_data_set

    started_at = time.monotonic()
    if options.copy_path is not None:
        use_copy(options.name_or_path, options.copy_path, options.cache_dir)
    passed_over = find_source(options.name_or_path, Fetcher(options.cache_dir)).passed_over()
    for sentence in passed_over_sentences(passed_over):
        say(sentence)  # first: too few pictures may be left to go on
    image_set = prepare_data_set(
        options.name_or_path,
        size_px=options.size_px,
        split_seed=options.split_seed,
        may_only_test=True,
        cache_dir=options.cache_dir,
        observer=TerminalObserver(),
    )
    report = prepared_report(image_set, passed_over, time.monotonic() - started_at)
    publish(report, as_json=options.as_json)


@data.command()
@name_argument
@click.option(
    "--out",
    "sheet_path",
    type=FILE,
    required=True,
    help="The PNG file to write.",
)
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    default="train",
    show_default=True,
    help="The split to look at.",
)
@click.option(
    "--count",
    "num_classes",
    type=click.IntRange(min=1),
    default=24,
    show_default=True,
    help="How many classes to show.",
)
@size_option
@split_seed_option
@cache_dir_option
@cache_size_option
@json_option
@filled(ShowOptions)
def show(options: ShowOptions) -> None:
    """Draw a data set on one picture.

    A row is a class: queries to the left, gallery images to the right.

    \b
    Example:
      cmpc data show emoji --out sheet.png --count 40
    """
    from cmpc.cli.output_files import PNG, check_output, pictures_of
    from cmpc.cli.publishing import publish
    from cmpc.pictures.contact_sheet import write_contact_sheet
    from cmpc.progress import TerminalObserver
    from cmpc.reports.base import Report
    from cmpc_search.stages.data_sets import prepare_data_set

    check_output("--out", options.sheet_path, PNG, inputs=pictures_of(options.name_or_path))
    image_set = prepare_data_set(
        options.name_or_path,
        size_px=options.size_px,
        split_seed=options.split_seed,
        may_only_test=True,
        cache_dir=options.cache_dir,
        observer=TerminalObserver(),
    )
    names = write_contact_sheet(
        image_set, options.sheet_path, split=options.split, num_classes=options.num_classes
    )
    document = {
        "name": image_set.name,
        "split": options.split,
        "sheet": options.sheet_path,
        "class_names": names,
    }
    sentence = f"{options.sheet_path}: {len(names)} classes of {image_set.describe()}"
    publish(Report(document=document, sentences=(sentence,)), as_json=options.as_json)
