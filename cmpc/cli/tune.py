"""How much faster do the kernels get when their schedules are measured?"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.cli.cache_size import cache_size_option
from cmpc.cli.options import EXISTING_PATH, cache_dir_option, config_option, json_option

if TYPE_CHECKING:
    from rich.table import Table

    from cmpc_cost_models.tuning import TaskReport

__all__ = ["tune"]

WORTH_TELLING = 0.05
AT_LEAST_ONE = click.IntRange(min=1)


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
def tune(
    path: Path,
    target_name: str | None,
    trials: int,
    trials_per_workload: int,
    threads: int,
    device_name: str,
    max_minutes: float | None,
    seed: int,
    toml_path: Path | None,
    cache_dir: Path,
    as_json: bool,
) -> None:
    """Measure schedules of a network's kernels and keep the fastest.

    What is compiled for the target afterwards uses them, kernels of similar shape too. Of a RUN,
    the kernels of its whole search space are tuned, each once. Stopped at any moment and called
    again, it goes on where it was.

    \b
    Examples:
      cmpc tune network.onnx --target host --trials 512
      cmpc tune runs/emoji --max-minutes 20
    """
    from cmpc.output import emit, say
    from cmpc.progress import progress
    from cmpc.settings.targets import named_target
    from cmpc_base.cache import Cache
    from cmpc_cost_models.targets.device import Device
    from cmpc_cost_models.tuning import (
        KernelRunner,
        ScheduleDatabase,
        TuneProgress,
        TuneSettings,
        extract_tasks,
    )
    from cmpc_cost_models.tuning import tune as tune_tasks

    settings = TuneSettings(
        num_trials=trials,
        max_trials_per_workload=trials_per_workload,
        max_seconds=None if max_minutes is None else 60 * max_minutes,
        seed=seed,
    )
    target = named_target(target_name or default_target(path), toml_path)
    with (
        KernelRunner(target, num_threads=threads, device=Device.named(device_name)) as runner,
        ScheduleDatabase.open(Cache(cache_dir).schedules, target) as database,
    ):
        tasks = extract_tasks(networks_in(path), target, num_threads=threads)
        say(f"{len(tasks)} workloads can be computed in several ways")
        with progress("Tuning", total=trials) as steps:

            def show(reached: TuneProgress) -> None:
                steps.reach(reached.num_tried, note=reached.note)

            reports = tune_tasks(tasks, database, runner, settings, on_batch=show)
        document = {
            "path": path,
            "target": target.name,
            "num_threads": threads,
            "device": device_name,
            "database": database.path,
            "state_sha256": database.state_sha256(),
            "waiting_share": mean(runner.waiting_shares),
            **totals(reports),
            "workloads": [described(one) for one in reports],
        }
    emit(document, table_of(reports), as_json=as_json)
    say(summary(document))
    if mean(runner.waiting_shares) > WORTH_TELLING:
        say(
            f"others used the processor for {mean(runner.waiting_shares):.0%} of the time: the "
            "choices stand, the times shown are too long"
        )


def mean(shares: Sequence[float]) -> float:
    """Return the mean; 0 where nothing was timed."""
    return sum(shares) / len(shares) if shares else 0.0


def default_target(path: Path) -> str:
    """Return the target of a run's search; networks on their own are for this machine."""
    if path.is_file():
        return "host"
    from cmpc_search.runs import reopen_run
    from cmpc_search.stages.material import search_settings_of

    return search_settings_of(reopen_run(path)).target


def networks_in(path: Path) -> Iterator[Path]:
    """Yield the network, or networks that stand for the space of a run."""
    if path.is_file():
        yield path
        return
    from tempfile import TemporaryDirectory

    from cmpc_search.runs import reopen_run
    from cmpc_search.stages.tuning import export_covering_networks, space_of_run

    with TemporaryDirectory(prefix="cmpc-tune-") as folder:
        yield from export_covering_networks(space_of_run(reopen_run(path)), Path(folder))


def totals(reports: Sequence["TaskReport"]) -> dict[str, object]:
    """Add up what was measured, each kernel as often as it is called."""
    timed = [one for one in reports if one.rule_us is not None and one.best_us is not None]
    return {
        "num_trials": sum(one.num_trials for one in reports),
        "num_failed": sum(one.num_failed for one in reports),
        "num_tuned": len(timed),
        "rule_us": sum(one.task.weight * (one.rule_us or 0.0) for one in timed),
        "best_us": sum(one.task.weight * (one.best_us or 0.0) for one in timed),
    }


def described(report: "TaskReport") -> dict[str, object]:
    """Return one workload as JSON values."""
    from cmpc_cost_models.kernels.facts import kind_of, shape_of

    spec = report.task.workload.spec
    return {
        "kind": kind_of(spec),
        "shape": shape_of(spec),
        "calls": report.task.weight,
        "rule_us": report.rule_us,
        "best_us": report.best_us,
        "spread_us": report.spread_us,
        "gain_percent": None if report.gain is None else 100 * report.gain,
        "num_trials": report.num_trials,
        "num_failed": report.num_failed,
        "schedule": None if report.schedule is None else report.schedule.to_json(),
        "key": report.task.workload.key,
    }


def table_of(reports: Sequence["TaskReport"]) -> "Table":
    """Lay out the workloads, those that do the most first."""
    from cmpc.output import make_table

    names = ("kind", "shape", "calls", "rule_us", "best_us", "spread_us", "gain_percent")
    columns = [name.replace("_", " ") for name in (*names, "num_trials", "num_failed")]
    documents = [described(one) for one in reports]
    return make_table(
        columns, [[one[name.replace(" ", "_")] for name in columns] for one in documents]
    )


def summary(document: dict[str, object]) -> str:
    """Say in one line what tuning brought."""
    rule_us, best_us = float(str(document["rule_us"])), float(str(document["best_us"]))
    if best_us == 0.0:
        return "no workload was measured"
    return (
        f"{document['num_tuned']} workloads are tuned: their kernels take {best_us / rule_us:.0%} "
        f"of the time under the rules ({document['num_failed']} of {document['num_trials']} "
        "schedules failed)"
    )
