"""The command that asks an index with pictures."""

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.cli.index_changes import known_ids
from cmpc.cli.options import (
    EXISTING_FILE,
    EXISTING_PATH,
    FILE,
    bundle_option,
    cache_dir_option,
    data_option,
    json_option,
    seed_option,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from cmpc_kernels import GalleryIndex, Neighbours, ShardedIndex

__all__ = ["query"]

MAX_K = 10_000  # of each query: more is no answer to look at, and memory that nobody has
COLUMNS = ["query", "class", "rank", "item", "class", "score", "right"]


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
def query(
    index_path: Path,
    images: tuple[str, ...],
    bundle: Path,
    k: int,
    allow_path: Path | None,
    data_set: str | None,
    sample: int | None,
    seed: int,
    picture: Path | None,
    cache_dir: Path,
    as_json: bool,
) -> None:
    """Find the gallery items that look like a picture.

    INDEX is a file or a folder of shards, made by `cmpc index`. IMAGE is a file or, with --data,
    the name of an item of the data set. The data set also gives the thumbnails of the picture, and
    the classes that tell right neighbours from wrong ones.

    \b
    Examples:
      cmpc query gallery.index cat.png --bundle bundles/emoji
      cmpc query gallery.index cat.png --bundle bundles/emoji --allow in-stock.txt
      cmpc query gallery.index --bundle bundles/emoji --data emoji --sample 5 --picture found.png
    """
    if not images and sample is None:
        raise click.UsageError("name pictures to ask with, or draw some with --data and --sample")

    import numpy as np

    from cmpc.cli.output_files import PNG, check_output, pictures_of
    from cmpc.output import emit, make_table, say
    from cmpc.pictures import neighbours_picture, save_picture
    from cmpc.progress import TerminalObserver
    from cmpc.queries import (
        KnownItems,
        answers,
        as_document,
        as_picture_rows,
        as_table_rows,
        how_many_right,
    )
    from cmpc_cost_models.bundles.bundle import open_bundle
    from cmpc_kernels import open_index
    from cmpc_search.data.preprocessing import image_size_of
    from cmpc_search.embeddings import gallery_network_of, split_seed_of
    from cmpc_search.stages.data_sets import prepare_data_set

    if picture is not None:
        inputs = chain([index_path, allow_path], map(Path, images), pictures_of(data_set))
        check_output("--picture", picture, PNG, inputs=inputs)
    index = open_index(index_path)
    allowed = None if allow_path is None else allowed_ids(index, allow_path)
    opened = open_bundle(bundle)
    space = gallery_network_of(opened)
    if space is not None and index.network_sha256 is None:
        raise click.UsageError(
            f"an index must say which gallery network made it to be asked, and {index_path} does "
            f"not; build it again with --gallery"
        )
    size_px = image_size_of(opened)
    image_set = None
    if data_set is not None:
        image_set = prepare_data_set(
            data_set,
            size_px=size_px,
            split_seed=split_seed_of(opened),
            cache_dir=cache_dir,
            observer=TerminalObserver(),
        )
    known = KnownItems(image_set, size_px=size_px)
    asked = [*known.queries(images), *(known.draw(sample, seed=seed) if sample else ())]
    embeddings = opened.embed(np.stack([item.image for item in asked if item.image is not None]))
    neighbours = index.search(embeddings, k, allow=allowed, network_sha256=space)
    found = answers(asked, neighbours, names_of(index, neighbours), known)
    judgement = how_many_right(found)
    if picture is not None:
        save_picture(neighbours_picture(as_picture_rows(found), title=judgement), picture)
        say(f"drew {picture}")
    emit(
        {"index": index_path, "bundle": bundle, "answers": as_document(found)},
        make_table(COLUMNS, as_table_rows(found)),
        as_json=as_json,
    )
    if judgement:
        say(judgement)


def allowed_ids(index: "GalleryIndex | ShardedIndex", path: Path) -> "npt.NDArray[np.int64]":
    """Return the ids of the items that a text file names; say how many names are of no item."""
    from cmpc.output import say
    from cmpc_base.name_lists import read_names

    names = read_names(path)
    ids, unknown = known_ids(index, names)
    if unknown:
        say(f"{len(unknown)} of {len(set(names))} names in {path} are those of no item")
    return ids


def names_of(
    index: "GalleryIndex | ShardedIndex", neighbours: "Neighbours"
) -> dict[int, str] | None:
    """Return the names of all items that were found, by id, if items have names."""
    if index.item_names is None:
        return None
    found = sorted(set(neighbours.ids.ravel().tolist()) - {-1})
    return dict(zip(found, index.names_of(found), strict=True))
