"""Where does the time of a network go on a target?"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.cli.cache_size import cache_size_option
from cmpc.cli.options import (
    EXISTING_PATH,
    FILE,
    cache_dir_option,
    config_option,
    filled,
    json_option,
)

if TYPE_CHECKING:
    from cmpc_search.stages.profiling import ProfileOrder

__all__ = ["profile"]

RIVALS = click.Choice(["onnxruntime"])


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileOptions:
    """What to profile, for what, and what to write of it."""

    model: Path
    candidate: int | None
    seed: int | None
    target_name: str | None
    num_threads: int
    max_seconds: float
    rival: str | None
    html_path: Path | None
    toml_path: Path | None
    cache_dir: Path
    as_json: bool

    def order(self) -> "ProfileOrder":
        """Return what is ordered."""
        from cmpc.settings.targets import given_target
        from cmpc_search.stages.profiling import ProfileOrder

        return ProfileOrder(
            model=self.model,
            cache_dir=self.cache_dir,
            candidate=self.candidate,
            seed=self.seed,
            target=given_target(self.target_name, self.toml_path),
            num_threads=self.num_threads,
            max_seconds=self.max_seconds,
            rival=self.rival,
        )


@click.command()
@click.argument("model", metavar="MODEL.onnx|RUN", type=EXISTING_PATH)
@click.option(
    "--candidate",
    type=click.IntRange(min=0),
    help="Trial of a RUN, with the weights of the supernet; else its trained pick.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Which trained pick.  [default: first]")
@click.option(
    "--target",
    "target_name",
    metavar="NAME",
    help="What to compile for, which this machine must be able to run.  [default: the RUN's, host]",
)
@click.option(
    "--threads",
    "num_threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Threads the network is compiled for and runs on, each on a core of its own.",
)
@click.option(
    "--seconds",
    "max_seconds",
    type=click.FloatRange(min=0.1),
    default=6.0,
    show_default=True,
    help="How long one timing may take; a quiet machine needs 3.",
)
@click.option("--compare", "rival", type=RIVALS, help="Time it in turn with another runtime.")
@click.option(
    "--html",
    "html_path",
    type=FILE,
    help="Write a page with charts, which needs no network to be read.",
)
@config_option
@cache_dir_option
@cache_size_option
@json_option
@filled(ProfileOptions)
def profile(options: ProfileOptions) -> None:
    """Time each kernel of a network, and say how close it is to the machine's limits.

    Takes any ONNX file of fixed size, or a run's trained pick for the run's target; where none is
    trained, the picked candidate as the supernet has it, which is said. The network is compiled and
    checked as for every measurement; its kernels are timed as they run, in order and on real data,
    those that TVM imports too. The roofline is measured beside it. When the timing may not be
    trusted, the exit code is 3.

    \b
    Examples:
      cmpc profile resnet18.onnx --target host --compare onnxruntime
      cmpc profile runs/emoji --threads 2 --html profile.html
    """
    from cmpc.cli.output_files import HTML, check_output
    from cmpc.cli.publishing import publish, require_trust
    from cmpc.output import say
    from cmpc.progress import TerminalObserver
    from cmpc.reports.profile import profile_report
    from cmpc_search.stages.profiling import run_profiling

    html_path = options.html_path
    if html_path is not None:
        check_output("--html", html_path, HTML, inputs=[options.model])
    result = run_profiling(options.order(), TerminalObserver())
    if html_path is not None:
        from cmpc.reports.profile_page import write_profile_page

        write_profile_page(result.profile, html_path)
        say(f"wrote {html_path}")
    report = profile_report(result)
    publish(report, as_json=options.as_json)
    require_trust(report)
