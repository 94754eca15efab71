"""The command that runs a bundle on pictures."""

from collections import Counter
from pathlib import Path

import click

from cmpc.cli.options import EXISTING_FILE, EXISTING_FOLDER, FILE, cache_dir_option, json_option

__all__ = ["run"]

NUM_SHOWN = 4


@click.command()
@click.argument("bundle", type=EXISTING_FOLDER)
@click.argument(
    "images",
    metavar="IMAGE...",
    nargs=-1,
    required=True,
    type=EXISTING_FILE,
)
@click.option(
    "--out",
    "embeddings_path",
    type=FILE,
    help="Write the embeddings: .npy for the bare rows, .safetensors with names, for `cmpc index`.",
)
@click.option(
    "--emulate",
    is_flag=True,
    help="Run a bundle for another processor under qemu: the answer is right, the time is not.",
)
@cache_dir_option
@json_option
def run(
    bundle: Path,
    images: tuple[Path, ...],
    embeddings_path: Path | None,
    emulate: bool,
    cache_dir: Path,
    as_json: bool,
) -> None:
    """Embed pictures with the compiled network of a bundle.

    A bundle for another processor is refused here, unless it is to be emulated.

    \b
    Examples:
      cmpc run bundles/emoji cat.png dog.png --out embeddings.npy
      cmpc run bundles/emoji cat.png --json
      cmpc run bundles/emoji-arm cat.png --emulate
    """
    import numpy as np

    from cmpc.cli.output_files import check_embeddings_output
    from cmpc.output import emit, make_table
    from cmpc_base.printable import printable
    from cmpc_cost_models.bundles.bundle import open_bundle
    from cmpc_cost_models.bundles.verification import embed_emulated
    from cmpc_cost_models.targets.toolchain import find_toolchain
    from cmpc_search.data import load_image
    from cmpc_search.data.preprocessing import image_size_of
    from cmpc_search.embeddings import Embeddings, gallery_network_of, write_embeddings

    if embeddings_path is not None:
        check_embeddings_output("--out", embeddings_path, inputs=images)
        if twice := [name for name, count in Counter(images).items() if count > 1]:
            raise click.UsageError(
                f"a picture must be named once to be embedded into a file, got {twice[0]} again"
            )
    opened = open_bundle(bundle, must_run_here=not emulate)
    size_px = image_size_of(opened)
    pixels = np.stack([load_image(image, size_px) for image in images])
    if emulate:
        rows = embed_emulated(opened, pixels, find_toolchain(opened.target, cache_dir=cache_dir))
    else:
        rows = opened.embed(pixels)
    names = tuple(map(printable, images))
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
