"""One workload while it is tuned: what was tried, what is best, what a batch may still bring."""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from cmpc_cost_models.schedules.database import ScheduleDatabase
from cmpc_cost_models.schedules.records import TuningRecord
from cmpc_cost_models.schedules.schedule import Schedule
from cmpc_cost_models.schedules.similar import features_of
from cmpc_cost_models.schedules.source import similar_schedules
from cmpc_cost_models.tuning.comparing import Times, fastest_of, is_faster, undisturbed_repeats
from cmpc_cost_models.tuning.runner import KernelRunner
from cmpc_cost_models.tuning.strategy import SearchStrategy
from cmpc_cost_models.tuning.tasks import TuningTask

__all__ = ["TaskTuner"]

GAIN_KEPT = 0.6  # of what the headroom promises, from batch to batch
TRIALS_PER_BATCH = 8  # as a rule; only to guess how far an earlier call came
NUM_SIMILAR = 3
CONFIRMING_REPEATS = 21
LOST_IN_TIMING = "timing it crashed or hung the worker"
MAX_CONTESTS = 3  # with other processes over one workload


class TaskTuner:
    """Tries batches of schedules of one task and keeps what came of them."""

    def __init__(
        self, task: TuningTask, database: ScheduleDatabase, runner: KernelRunner, *, seed: int
    ) -> None:
        self.task = task
        self.is_exhausted = False
        self._workload = task.workload
        self._key = task.workload.key
        self._database = database
        self._runner = runner
        self._cpu_model = runner.fingerprint.cpu_model or ""
        self._rng = random.Random(f"{seed} {self._key}")
        self._strategy: SearchStrategy | None = None
        self._reload()
        self._last_gain = 0.0
        self._num_batches = len(self.tried) / TRIALS_PER_BATCH

    def expected_gain(self, headroom: float) -> float:
        """Return the share of its time that the next batch may save.

        Args:
            headroom: The share that it would save as the fastest kernel of all.
        """
        return max(self._last_gain, headroom * math.pow(GAIN_KEPT, self._num_batches))

    @property
    def best_us(self) -> float | None:
        return None if self.best is None else self.best.median_us

    def try_batch(self, count: int) -> None:
        """Try up to ``count`` new schedules; where ``is_exhausted`` holds then, none are left."""
        self._reload()
        before = self.best_us
        strategy = self._search()
        times = {schedule: one.median_us for schedule, one in self.tried.items()}
        batch = strategy.propose(count, times)
        sound = list(self._working(batch))
        incumbent = self.best.schedule if self.best else strategy.rule
        self.is_exhausted = not batch or (self.best is None and incumbent not in sound)
        if not self.is_exhausted:
            self._compare([one for one in sound if one != incumbent], incumbent)
        self._reload()
        self._last_gain = 1 - self.best_us / before if self.best_us and before else 0.0
        self._num_batches += 1

    def _reload(self) -> None:
        """Read what is known by now: another process may be at the same workload."""
        self.tried = {one.schedule: one for one in self._database.tried(self._key, self._cpu_model)}
        self.best = self._database.best(self._key, self._cpu_model)

    def _search(self) -> SearchStrategy:
        """Return the strategy; made late, when similar workloads may have been tuned already."""
        if self._strategy is None:
            self._database.commit_workload(self._key, features_of(self._workload).to_text())
            similar = similar_schedules(self._database, self._workload, at_most=NUM_SIMILAR)
            self._strategy = SearchStrategy(self._workload, first=similar, rng=self._rng)
        return self._strategy

    def _working(self, batch: Sequence[Schedule]) -> Iterator[Schedule]:
        """Yield the schedules that build and compute what they must; keep why others don't."""
        for schedule in batch:
            error = self._runner.error_of(self._workload, schedule)
            if error is None:
                yield schedule
            else:
                self._database.commit([self._failure(schedule, error)])

    def _compare(self, challengers: Sequence[Schedule], incumbent: Schedule) -> None:
        """Time challengers against the best one; the winner, if another, takes its place."""
        found = fastest_of(challengers, incumbent, self._time)
        lost = [one for one in challengers if one not in found.times_us]
        records = [self._failure(one, LOST_IN_TIMING) for one in lost]
        for schedule, times in found.times_us.items():
            if schedule not in (incumbent, found.winner):
                records.append(self._record(schedule, *undisturbed_repeats(times)))
        self._database.commit(records)
        if self.best is None:
            for times in self._time([incumbent], CONFIRMING_REPEATS).values():
                [undisturbed] = undisturbed_repeats(times)
                record = self._record(incumbent, undisturbed, rule_us=float(np.median(undisturbed)))
                self._database.commit([record], best=incumbent)
        if found.winner != incumbent:
            self._take_place(found.winner)

    def _take_place(self, winner: Schedule) -> None:
        """Make ``winner`` the best if, timed once more, it beats the rule and who holds the place.

        The best of many noisy times is flattered: hence once more. Record and place are written
        at once, since after a kill between the two nobody would try the schedule again.
        """
        rule = self._search().rule
        for _ in range(MAX_CONTESTS):
            held = self._database.best(self._key, self._cpu_model)
            rivals = list(dict.fromkeys([rule, held.schedule if held else rule]))
            times = self._time([*rivals, winner], CONFIRMING_REPEATS)
            if len(times) <= len(rivals):
                self._database.commit([self._failure(winner, LOST_IN_TIMING)])
                return
            wins = all(is_faster(times[winner], times[one]) for one in rivals)
            mine, of_rule = undisturbed_repeats(times[winner], times[rule])
            record = self._record(winner, mine, rule_us=float(np.median(of_rule)))
            replaced = self._database.commit(
                [record],
                best=winner if wins else None,
                instead_of=held.schedule if held else None,
            )
            if replaced or not wins:
                return

    def _record(
        self, schedule: Schedule, times_us: Times, *, rule_us: float | None = None
    ) -> TuningRecord:
        median = float(np.median(times_us))
        return TuningRecord(
            workload_key=self._key,
            cpu_model=self._cpu_model,
            schedule=schedule,
            median_us=median,
            spread_us=float(np.median(np.abs(times_us - median))),
            num_repeats=len(times_us),
            rule_us=rule_us,
            machine=self._runner.machine(),
            measured_at=_now(),
        )

    def _failure(self, schedule: Schedule, error: str) -> TuningRecord:
        return TuningRecord(
            workload_key=self._key,
            cpu_model=self._cpu_model,
            schedule=schedule,
            error=error,
            machine=self._runner.machine(),
            measured_at=_now(),
        )

    def _time(self, schedules: Sequence[Schedule], num_repeats: int) -> Mapping[Schedule, Times]:
        return self._runner.time(self._workload, schedules, num_repeats)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
