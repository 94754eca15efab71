"""The command that runs a bundle on pictures."""

from pathlib import Path

import click

from cmpc.cli.options import json_option

__all__ = ["run"]

NUM_SHOWN = 4


@click.command()
@click.argument("bundle", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument(
    "images",
    metavar="IMAGE...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "--out",
    "embeddings_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the embeddings: .npy for the bare rows, .safetensors with names, for `cmpc index`.",
)
@json_option
def run(
    bundle: Path, images: tuple[Path, ...], embeddings_path: Path | None, as_json: bool
) -> None:
    """Embed pictures with the compiled network of a bundle.

    \b
    Examples:
      cmpc run bundles/emoji cat.png dog.png --out embeddings.npy
      cmpc run bundles/emoji cat.png --json
    """
    import numpy as np

    from cmpc.output import emit, make_table
    from cmpc_cost_models.bundles import open_bundle
    from cmpc_search.data import load_image
    from cmpc_search.embeddings import Embeddings, gallery_network_of, write_embeddings

    opened = open_bundle(bundle)
    size_px = opened.preprocessing.size_px
    rows = opened.embed(np.stack([load_image(image, size_px) for image in images]))
    names = tuple(map(str, images))
    if embeddings_path is not None:
        space = gallery_network_of(opened)
        write_embeddings(
            embeddings_path, Embeddings(rows=rows, item_names=names, network_sha256=space)
        )
    pairs = list(zip(names, rows, strict=True))
    shown = [(name, len(row), " ".join(f"{x:.3f}" for x in row[:NUM_SHOWN])) for name, row in pairs]
    listed = [{"image": name, "embedding": row} for name, row in pairs]
    table = make_table(["image", "dimension", f"first {NUM_SHOWN} values"], shown)
    emit({"bundle": bundle, "embeddings": listed}, table, as_json=as_json)
