"""The command that runs a bundle on pictures."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import click

from cmpc.cli.options import (
    EXISTING_FILE,
    EXISTING_FOLDER,
    FILE,
    cache_dir_option,
    filled,
    json_option,
)

__all__ = ["run"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """Which pictures to embed with which bundle."""

    bundle: Path
    images: tuple[Path, ...]
    embeddings_path: Path | None
    emulate: bool
    cache_dir: Path
    as_json: bool


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
@filled(RunOptions)
def run(options: RunOptions) -> None:
    """Embed pictures with the compiled network of a bundle.

    A bundle for another processor is refused here, unless it is to be emulated.

    \b
    Examples:
      cmpc run bundles/emoji cat.png dog.png --out embeddings.npy
      cmpc run bundles/emoji cat.png --json
      cmpc run bundles/emoji-arm cat.png --emulate
    """
    from cmpc.cli.publishing import publish
    from cmpc.reports.embeddings import embeddings_report
    from cmpc_search.embeddings import write_embeddings
    from cmpc_search.stages.picture_embedding import EmbedOrder, embed_pictures

    if options.embeddings_path is not None:
        check_target(options.embeddings_path, options.images)
    order = EmbedOrder(
        bundle=options.bundle,
        images=options.images,
        cache_dir=options.cache_dir,
        is_emulated=options.emulate,
    )
    found = embed_pictures(order)
    if options.embeddings_path is not None:
        write_embeddings(options.embeddings_path, found)
    publish(embeddings_report(options.bundle, found), as_json=options.as_json)


def check_target(path: Path, images: tuple[Path, ...]) -> None:
    """Refuse a file that would take something from the user, or hold a name twice."""
    from cmpc.cli.output_files import check_embeddings_output

    check_embeddings_output("--out", path, inputs=images)
    if twice := [name for name, count in Counter(images).items() if count > 1]:
        raise click.UsageError(
            f"a picture must be named once to be embedded into a file, got {twice[0]} again"
        )
