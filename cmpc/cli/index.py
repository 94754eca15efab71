"""The command that makes a gallery searchable."""

from pathlib import Path

import click

from cmpc.cli.options import cache_dir_option, data_option, json_option

__all__ = ["index"]


@click.command()
@click.argument("embeddings", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--out",
    "index_path",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The index file to write.",
)
@click.option(
    "--metric",
    type=click.Choice(["cosine", "ip", "l2"]),
    default="cosine",
    show_default=True,
    help="How near two embeddings are: angle, inner product or squared distance.",
)
@data_option
@cache_dir_option
@json_option
def index(
    embeddings: Path,
    index_path: Path,
    metric: str,
    data_set: str | None,
    cache_dir: Path,
    as_json: bool,
) -> None:
    """Turn gallery embeddings into an index that `cmpc query` searches.

    EMBEDDINGS is a folder made by `cmpc gallery`, or a safetensors file with a tensor `embeddings`.
    With --data only the items that stand on the gallery side of that data set are indexed: a query
    must not find itself.

    \b
    Examples:
      cmpc index galleries/emoji --data emoji --out gallery.index
      cmpc index shop.safetensors --metric ip --out shop.index
    """
    from cmpc.output import emit, make_table
    from cmpc_kernels import GalleryIndex
    from cmpc_search.embeddings import read_embeddings
    from cmpc_search.gallery import open_gallery

    found = read_embeddings(embeddings)
    if data_set is not None:
        # A gallery knows how its data were divided; a bare file is divided as by default.
        split_seed = open_gallery(embeddings).split_seed if embeddings.is_dir() else 0
        found = found.named(gallery_items(data_set, cache_dir, split_seed))
    built = GalleryIndex.build(
        found.rows,
        metric,
        item_names=found.item_names,
        labels=found.labels,
        network_sha256=found.network_sha256,
    )
    index_path.parent.mkdir(parents=True, exist_ok=True)
    built.save(index_path)
    facts: dict[str, object] = {
        "index": index_path,
        "num_items": len(built),
        "dimension": found.rows.shape[1],
        "metric": metric,
        "num_bytes": index_path.stat().st_size,
        "network_sha256": found.network_sha256,
    }
    emit(facts, make_table(["index", ""], facts.items()), as_json=as_json)


def gallery_items(data_set: str, cache_dir: Path, split_seed: int) -> list[str]:
    """Name the items of a data set's gallery side; their pictures are not looked at."""
    from cmpc_search.data import load_image_set

    image_set = load_image_set(data_set, size_px=32, cache_dir=cache_dir, seed=split_seed)
    return [image_set.item_names[position] for position in image_set.select(role="gallery")]
