"""How much faster do the kernels get when their schedules are measured?"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.cli.cache_size import cache_size_option
from cmpc.cli.options import EXISTING_PATH, cache_dir_option, config_option, filled, json_option

if TYPE_CHECKING:
    from cmpc_search.stages.schedule_tuning import TuneOrder

__all__ = ["tune"]

AT_LEAST_ONE = click.IntRange(min=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneOptions:
    """What to tune, for what, and how much."""

    path: Path
    target_name: str | None
    trials: int
    trials_per_workload: int
    threads: int
    device_name: str
    max_minutes: float | None
    seed: int
    toml_path: Path | None
    cache_dir: Path
    as_json: bool

    def order(self) -> "TuneOrder":
        """Return what is ordered."""
        from cmpc.settings.targets import given_target
        from cmpc_cost_models.targets.device import Device
        from cmpc_cost_models.tuning.tuner import TuneSettings
        from cmpc_search.stages.schedule_tuning import TuneOrder

        return TuneOrder(
            model=self.path,
            cache_dir=self.cache_dir,
            target=given_target(self.target_name, self.toml_path),
            device=Device.named(self.device_name),
            num_threads=self.threads,
            settings=TuneSettings(
                num_trials=self.trials,
                max_trials_per_workload=self.trials_per_workload,
                max_seconds=None if self.max_minutes is None else 60 * self.max_minutes,
                seed=self.seed,
            ),
        )


@click.command()
@click.argument("path", metavar="MODEL.onnx|RUN", type=EXISTING_PATH)
@click.option("--target", "target_name", metavar="NAME", help="Else that of the run, or host.")
@click.option(
    "--trials",
    type=AT_LEAST_ONE,
    default=512,
    show_default=True,
    help="Schedules to try in all, counting those that earlier calls tried.",
)
@click.option(
    "--trials-per-workload",
    type=AT_LEAST_ONE,
    default=64,
    show_default=True,
    help="Of these, at most so many for one workload.",
)
@click.option(
    "--threads",
    type=AT_LEAST_ONE,
    default=1,
    show_default=True,
    help="How many threads the networks will run on.",
)
@click.option(
    "--device",
    "device_name",
    metavar="NAME",
    default="local",
    show_default=True,
    help="Where kernels are timed: local, rpc://HOST:PORT or rpc://HOST:PORT/KEY.",
)
@click.option(
    "--max-minutes", type=click.FloatRange(min=0, min_open=True), help="Stop after this time."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the schedules drawn.")
@config_option
@cache_dir_option
@cache_size_option
@json_option
@filled(TuneOptions)
def tune(options: TuneOptions) -> None:
    """Measure schedules of a network's kernels and keep the fastest.

    What is compiled for the target afterwards uses them, kernels of similar shape too. Of a RUN,
    the kernels of its whole search space are tuned, each once. Stopped at any moment and called
    again, it goes on where it was.

    \b
    Examples:
      cmpc tune network.onnx --target host --trials 512
      cmpc tune runs/emoji --max-minutes 20
    """
    from cmpc.cli.publishing import publish
    from cmpc.progress import TerminalObserver
    from cmpc.reports.tuning import tuning_report
    from cmpc_search.stages.schedule_tuning import run_tuning

    order = options.order()
    found = run_tuning(order, TerminalObserver())
    publish(tuning_report(order, found), as_json=options.as_json)
