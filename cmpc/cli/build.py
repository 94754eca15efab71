"""How does the trained pick get to where it runs?"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.cli.cache_size import cache_size_option
from cmpc.cli.options import (
    FOLDER,
    cache_dir_option,
    config_option,
    filled,
    json_option,
    run_folder_argument,
)

if TYPE_CHECKING:
    from cmpc_search.stages.bundling import BundleOrder

__all__ = ["build"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildOptions:
    """What to build of a run, and where to write it."""

    run_folder: Path
    bundle_folder: Path
    target: str | None
    seed: int
    runner: bool | None
    verify: bool
    toml_path: Path | None
    cache_dir: Path
    as_json: bool

    def order(self) -> "BundleOrder":
        """Return what is ordered."""
        from cmpc.settings.targets import given_target
        from cmpc_search.stages.bundling import BundleOrder

        return BundleOrder(
            folder=self.bundle_folder,
            cache_dir=self.cache_dir,
            target=given_target(self.target, self.toml_path),
            seed=self.seed,
            with_runner=self.runner,
            must_verify=self.verify,
        )


@click.command()
@run_folder_argument
@click.option(
    "--out",
    "bundle_folder",
    type=FOLDER,
    required=True,
    help="The bundle to write.",
)
@click.option("--target", metavar="NAME", help="What to compile for; else that of the search.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Which trained pick."
)
@click.option(
    "--runner/--no-runner",
    default=None,
    help="Build the native program.  [default: if a compiler for the target is here]",
)
@click.option(
    "--verify/--no-verify",
    default=True,
    show_default=True,
    help="Run the bundle before it is written, under qemu for another processor.",
)
@config_option
@cache_dir_option
@cache_size_option
@json_option
@filled(BuildOptions)
def build(options: BuildOptions) -> None:
    """Write the trained pick as a bundle: compiled network, runtime, runner, manifest.

    The compiled network is the one that `cmpc evaluate` measured, to the byte. Of another seed or
    target, or where that file is gone, the network is compiled and measured now. One that can't be
    measured here ships all the same; the manifest says so and the exit code is 3, as it is where
    the latency was unstable. A predicted latency is called so.

    A bundle of the same network that is there already is left as it is. The bundle's program is
    run once, and its answer compared with ONNX Runtime's, before the bundle appears.

    \b
    Examples:
      cmpc build runs/emoji --out bundles/emoji --target host
      cmpc build runs/emoji --out bundles/emoji-arm --target arm
    """
    from cmpc.cli.output_files import check_bundle_output
    from cmpc.cli.publishing import publish, require_trust
    from cmpc.progress import TerminalObserver
    from cmpc.reports.bundle import bundle_report
    from cmpc_search.runs import reopen_run
    from cmpc_search.stages.bundling import build_bundle

    check_bundle_output("--out", options.bundle_folder)
    run = reopen_run(options.run_folder)
    report = bundle_report(build_bundle(run, options.order(), TerminalObserver()))
    publish(report, as_json=options.as_json)
    require_trust(report)
