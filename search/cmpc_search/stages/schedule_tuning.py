"""Measure schedules of the kernels of a network, or of a run's whole space, and keep the fastest.

Stopped at any moment and ordered again, tuning goes on where it was: every trial is kept at once.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from cmpc_base.cache import Cache
from cmpc_base.progress import SILENT, Observer
from cmpc_cost_models import Target
from cmpc_cost_models.schedules.database import ScheduleDatabase
from cmpc_cost_models.targets.device import Device
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.tuning.runner import KernelRunner
from cmpc_cost_models.tuning.tasks import TuningTask, extract_tasks
from cmpc_cost_models.tuning.tuner import TaskReport, TuneProgress, TuneSettings, tune
from cmpc_search.runs import reopen_run
from cmpc_search.stages.covering_networks import export_covering_networks, space_of_run
from cmpc_search.stages.run_material import target_of

__all__ = ["TuneOrder", "TuneResult", "TuneTotals", "run_tuning", "totals_of"]

THIS_MACHINE = Device.named("local")
DEFAULT_SETTINGS = TuneSettings()


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneOrder:
    """What to tune, for what, and how much.

    Attributes:
        model: An ONNX file, or the folder of a run, whose whole space is tuned.
        target: None is that of the run; for a file it is this machine.
        device: Where kernels are timed.
        num_threads: How many threads the networks will run on.
    """

    model: Path
    cache_dir: Path
    target: Target | None = None
    device: Device = THIS_MACHINE
    num_threads: int = 1
    settings: TuneSettings = DEFAULT_SETTINGS


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneTotals:
    """What was measured, each kernel's time as often as it is called.

    Attributes:
        num_trials, num_failed: Schedules ever tried, and those of them that failed.
        num_tuned: Workloads with a measured time.
        rule_us, best_us: Their times under the rules, and under what was found.
    """

    num_trials: int
    num_failed: int
    num_tuned: int
    rule_us: float
    best_us: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneResult:
    """What is known of each workload now, and where it is kept.

    Attributes:
        state_sha256: Of the schedules that compiling chooses from now on.
        waiting_share: For how much of the time others used the processor; 0 where nothing was
            timed.
    """

    target: Target
    reports: tuple[TaskReport, ...]
    database_path: Path
    state_sha256: str
    waiting_share: float

    @property
    def totals(self) -> TuneTotals:
        return totals_of(self.reports)


def run_tuning(order: TuneOrder, observer: Observer = SILENT) -> TuneResult:
    """Try schedules until as many were tried as ordered.

    Raises:
        BadArgument: the device can't run the target.
        BadRun: the folder is no run, or its supernet can't be read.
        DeviceUnreachable: the device does not answer.
    """
    target = order.target or _own_target(order.model)
    total = order.settings.num_trials
    with ExitStack() as stack:
        runner = stack.enter_context(
            KernelRunner(target, num_threads=order.num_threads, device=order.device)
        )
        schedules_dir = Cache(order.cache_dir).schedules
        database = stack.enter_context(ScheduleDatabase.open(schedules_dir, target))
        tasks = _tasks(order, target)
        observer.notice(f"{len(tasks)} workloads can be computed in several ways")
        steps = stack.enter_context(observer.progress("Tuning"))

        def show(reached: TuneProgress) -> None:
            steps(reached.num_tried, total, reached.note)

        reports = tune(tasks, database, runner, order.settings, on_batch=show)
        for doubt in runner.doubts:
            observer.notice(doubt)
        shares = runner.waiting_shares
        return TuneResult(
            target=target,
            reports=tuple(reports),
            database_path=database.path,
            state_sha256=database.state_sha256(),
            waiting_share=float(np.mean(shares)) if shares else 0.0,
        )


def totals_of(reports: tuple[TaskReport, ...]) -> TuneTotals:
    """Add up what was measured, each kernel as often as it is called."""
    timed = [
        (one.task.weight, one.rule_us, one.best_us)
        for one in reports
        if one.rule_us is not None and one.best_us is not None
    ]
    return TuneTotals(
        num_trials=sum(one.num_trials for one in reports),
        num_failed=sum(one.num_failed for one in reports),
        num_tuned=len(timed),
        rule_us=sum(weight * rule_us for weight, rule_us, _ in timed),
        best_us=sum(weight * best_us for weight, _, best_us in timed),
    )


def _own_target(model: Path) -> Target:
    return find_target("host") if model.is_file() else target_of(reopen_run(model))


def _tasks(order: TuneOrder, target: Target) -> list[TuningTask]:
    networks = _networks_in(order.model)
    return list(extract_tasks(networks, target, num_threads=order.num_threads))


def _networks_in(model: Path) -> Iterator[Path]:
    """Yield the network, or networks that stand for the space of a run."""
    if model.is_file():
        yield model
        return
    with TemporaryDirectory(prefix="cmpc-tune-") as folder:
        yield from export_covering_networks(space_of_run(reopen_run(model)), Path(folder))
