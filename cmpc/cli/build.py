"""How does the trained pick get to where it runs?"""

from pathlib import Path

import click

from cmpc.cli.options import json_option, run_folder_argument

__all__ = ["build"]


@click.command()
@run_folder_argument
@click.option(
    "--out",
    "bundle_folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The bundle to write.",
)
@click.option("--target", metavar="NAME", help="What to compile for; else that of the search.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Which one.")
@click.option("--runner/--no-runner", default=None, help="Build the native program; else if g++.")
@json_option
def build(
    run_folder: Path,
    bundle_folder: Path,
    target: str | None,
    seed: int,
    runner: bool | None,
    as_json: bool,
) -> None:
    """Write the trained pick as a bundle: compiled network, runtime, runner, manifest.

    The compiled network is the one that was measured, to the byte. A bundle of the same network
    that is there already is left as it is.

    \b
    Example:
      cmpc build runs/emoji --out bundles/emoji --target host
    """
    from cmpc.output import emit, make_table
    from cmpc_search.runs import reopen_run
    from cmpc_search.stages.bundling import BundleOrder, build_bundle

    run = reopen_run(run_folder)
    order = BundleOrder(folder=bundle_folder, target=target, seed=seed, with_runner=runner)
    bundle = build_bundle(run, order)
    cost = bundle.cost
    shown: dict[str, object] = {
        "bundle": bundle.folder,
        "target": bundle.manifest["target"]["name"],
        "architecture": bundle.manifest["provenance"]["architecture"],
        "embedding_dim": bundle.embedding_dim,
        "latency_ms": None if cost is None else cost.value,
        "latency_source": None if cost is None else cost.source,
        "has_runner": bundle.runner is not None,
        "num_bytes": sum(
            file.stat().st_size for file in bundle.folder.rglob("*") if file.is_file()
        ),
    }
    emit(shown, make_table(["bundle", ""], shown.items()), as_json=as_json)
