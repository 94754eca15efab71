"""Spend a number of trials where they save the most time.

    while trials and time are left:
        task      the one that most likely saves most: its share of time times its late gains
        batch     schedules that nobody tried (strategy), checked one by one (runner)
        duel      timed against the best so far (comparing)
        database  every trial is kept at once, and the best when it changed

After `kill -9` the database knows all that was tried; the next call goes on from there. This is
the task scheduler of Ansor (Zheng et al., OSDI 2020, section 6); what it reads off similar tasks
is here the headroom that a kernel has below the fastest one.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cmpc_cost_models.errors import BadArgument, CompileFailed
from cmpc_cost_models.schedules.database import ScheduleDatabase
from cmpc_cost_models.schedules.records import TuningRecord
from cmpc_cost_models.schedules.schedule import Schedule
from cmpc_cost_models.tuning.runner import KernelRunner
from cmpc_cost_models.tuning.task_tuner import TaskTuner
from cmpc_cost_models.tuning.tasks import TuningTask

__all__ = ["TaskReport", "TuneProgress", "TuneSettings", "tune"]


HEADROOM_UNKNOWN = 0.5  # until a workload was timed
SMALLEST_HEADROOM = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneSettings:
    """How much to tune.

    Attributes:
        num_trials: Schedules to have tried in all, with those that the database holds already.
        max_trials_per_workload: Of these, at most so many for one workload.
        batch_size: Schedules that are timed against each other.
        max_seconds: Begin no batch after this time.
        seed: Of the schedules that are drawn.
    """

    num_trials: int = 512
    max_trials_per_workload: int = 64
    batch_size: int = 8
    max_seconds: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.num_trials, self.max_trials_per_workload, self.batch_size) < 1:
            raise BadArgument(
                "`num_trials`, `max_trials_per_workload` and `batch_size` must be at least 1, got "
                f"{self.num_trials}, {self.max_trials_per_workload} and {self.batch_size}"
            )
        if self.max_seconds is not None and self.max_seconds <= 0:
            raise BadArgument(f"`max_seconds > 0` must hold, got {self.max_seconds}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneProgress:
    """Where tuning stands after a batch: schedules tried in all, and the task that was tried."""

    num_tried: int
    task: TuningTask
    best: TuningRecord | None

    @property
    def note(self) -> str:
        """What came of the task, in a few words."""
        if self.best is None or self.best.median_us is None or self.best.rule_us is None:
            return "failed"
        return f"{self.best.rule_us:.1f} -> {self.best.median_us:.1f} us"


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskReport:
    """What is known of a task in the end; times are ``None`` while nothing was measured.

    Attributes:
        rule_us, best_us: Medians of the rule's schedule and of the best one, timed in turn.
        spread_us: Median absolute deviation of the best one's repeats.
        num_trials, num_failed: Schedules ever tried, and those of them that failed.
    """

    task: TuningTask
    schedule: Schedule | None
    rule_us: float | None
    best_us: float | None
    spread_us: float | None
    num_trials: int
    num_failed: int

    @property
    def gain(self) -> float | None:
        """The share of the rule's time that is saved."""
        if self.rule_us is None or self.best_us is None:
            return None
        return 1 - self.best_us / self.rule_us


def tune(
    tasks: Sequence[TuningTask],
    database: ScheduleDatabase,
    runner: KernelRunner,
    settings: TuneSettings,
    *,
    on_batch: Callable[[TuneProgress], None] = lambda _: None,
) -> tuple[TaskReport, ...]:
    """Tune ``tasks`` into ``database``; return a report for each, in their order.

    Raises:
        CompileFailed: no schedule of any task could be measured.
        DeviceUnreachable: the device that measures is gone.
    """
    tuners = [TaskTuner(one, database, runner, seed=settings.seed) for one in tasks]
    deadline = time.monotonic() + (settings.max_seconds or math.inf)
    while time.monotonic() < deadline:
        num_left = settings.num_trials - sum(len(one.tried) for one in tuners)
        chosen = _most_promising(tuners, settings)
        if chosen is None or num_left <= 0:
            break
        most = settings.max_trials_per_workload - len(chosen.tried)
        chosen.try_batch(min(settings.batch_size, most, num_left))
        num_tried = sum(len(one.tried) for one in tuners)
        on_batch(TuneProgress(num_tried=num_tried, task=chosen.task, best=chosen.best))
    _require_some_success(tuners)
    return tuple(_report(one) for one in tuners)


def _require_some_success(tuners: Sequence[TaskTuner]) -> None:
    """Let single failures pass as results; where there is nothing else, something is amiss."""
    errors = [record.error for one in tuners for record in one.tried.values() if record.error]
    if errors and not any(one.best for one in tuners):
        raise CompileFailed(
            f"some schedule must work, and all {len(errors)} that were tried failed; "
            f"the first one: {errors[0]}"
        )


def _most_promising(tuners: Sequence[TaskTuner], settings: TuneSettings) -> TaskTuner | None:
    """Return the task whose next batch may save the most time in all networks.

    The fastest kernel so far shows what the processor can do; the others have headroom.
    """
    timed = [one for one in tuners if one.best_us]
    rates = {one: one.task.work / (one.best_us or 1.0) for one in timed}
    usual = float(np.median([*rates.values()] or [1.0]))  # work for a microsecond
    fastest = max(rates.values(), default=1.0)

    def expected_saving(one: TaskTuner) -> float:
        rate = rates.get(one, usual)
        headroom = 1 - rate / fastest if one in rates else HEADROOM_UNKNOWN
        time_us = one.task.weight * one.task.work / rate
        return time_us * one.expected_gain(max(SMALLEST_HEADROOM, headroom))

    open_tasks = [
        one
        for one in tuners
        if not one.is_exhausted and len(one.tried) < settings.max_trials_per_workload
    ]
    return max(open_tasks, key=expected_saving, default=None)


def _report(one: TaskTuner) -> TaskReport:
    best = one.best
    return TaskReport(
        task=one.task,
        schedule=best.schedule if best else None,
        rule_us=best.rule_us if best else None,
        best_us=best.median_us if best else None,
        spread_us=best.spread_us if best else None,
        num_trials=len(one.tried),
        num_failed=sum(record.error is not None for record in one.tried.values()),
    )
