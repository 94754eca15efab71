"""The command that asks an index with pictures."""

from pathlib import Path

import click

from cmpc.cli.options import (
    bundle_option,
    cache_dir_option,
    data_option,
    json_option,
    seed_option,
)

__all__ = ["query"]

COLUMNS = ["query", "class", "rank", "item", "class", "score", "right"]


@click.command()
@click.argument(
    "index_path", metavar="INDEX", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.argument("images", metavar="[IMAGE]...", nargs=-1)
@bundle_option
@click.option("-k", type=click.IntRange(min=1), default=5, show_default=True, help="Items to find.")
@data_option
@click.option(
    "--sample", type=click.IntRange(min=1), help="Ask with this many test queries of the data set."
)
@seed_option
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw each query beside what it found, as a PNG.",
)
@cache_dir_option
@json_option
def query(
    index_path: Path,
    images: tuple[str, ...],
    bundle: Path,
    k: int,
    data_set: str | None,
    sample: int | None,
    seed: int,
    picture: Path | None,
    cache_dir: Path,
    as_json: bool,
) -> None:
    """Find the gallery items that look like a picture.

    IMAGE is a file or, with --data, the name of an item of the data set. The data set also gives
    the thumbnails of the picture, and the classes that tell right neighbours from wrong ones.

    \b
    Examples:
      cmpc query gallery.index cat.png --bundle bundles/emoji
      cmpc query gallery.index --bundle bundles/emoji --data emoji --sample 5 --picture found.png
    """
    if not images and sample is None:
        raise click.UsageError("name pictures to ask with, or draw some with --data and --sample")

    import numpy as np

    from cmpc.output import emit, make_table, say
    from cmpc.pictures import neighbours_picture, save_picture
    from cmpc.progress import progress
    from cmpc.queries import (
        KnownItems,
        answers,
        as_document,
        as_picture_rows,
        as_table_rows,
        how_many_right,
    )
    from cmpc_cost_models.bundles import open_bundle
    from cmpc_kernels import GalleryIndex
    from cmpc_search.data import load_image_set
    from cmpc_search.embeddings import gallery_network_of, split_seed_of

    index = GalleryIndex.load(index_path)
    opened = open_bundle(bundle)
    size_px = opened.preprocessing.size_px
    image_set = None
    if data_set is not None:
        with progress(f"Preparing {data_set}") as steps:
            image_set = load_image_set(
                data_set,
                size_px=size_px,
                cache_dir=cache_dir,
                seed=split_seed_of(opened),
                progress=steps,
            )
    known = KnownItems(image_set, size_px=size_px)
    asked = [*known.queries(images), *(known.draw(sample, seed=seed) if sample else ())]
    embeddings = opened.embed(np.stack([item.image for item in asked if item.image is not None]))
    neighbours = index.search(
        embeddings, min(k, len(index)), network_sha256=gallery_network_of(opened)
    )
    found = answers(asked, neighbours, index.item_names, known)
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
