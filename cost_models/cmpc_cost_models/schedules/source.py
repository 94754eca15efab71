"""Which schedule shall a kernel have? A record, else that of a similar workload, else the rule.

Only a record needs a measurement of this very workload, and none is ever made here: networks for
another processor, or compiled while a search waits, are served as well.
"""

import math
from pathlib import Path

from cmpc_cost_models.schedules.database import ScheduleDatabase, database_path, state_of
from cmpc_cost_models.schedules.records import TuningRecord
from cmpc_cost_models.schedules.rules import is_valid, rule_schedule
from cmpc_cost_models.schedules.schedule import Origin, Schedule
from cmpc_cost_models.schedules.similar import Features, features_of, nearest, refit
from cmpc_cost_models.schedules.workload import Workload
from cmpc_cost_models.targets.target import Target

__all__ = ["TunedSchedules", "open_schedules", "similar_schedules"]

SMALLEST_GAIN_TO_LEND = 0.02  # of the time; where tuning found no better, the rule is as good


Known = list[tuple[Features, TuningRecord]]


class TunedSchedules:
    """What a database held at one moment: answers and state belong together.

    Implements ``schedules.schedule.ScheduleSource``. What was timed on another processor is a hint,
    as what was timed for a similar workload is.

    Args:
        cpu_model: The processor that the code will be timed on; ``None`` where nobody knows, and
            records of all count.
    """

    def __init__(self, database: ScheduleDatabase, cpu_model: str | None = None) -> None:
        records = database.all_best()
        own = [one for one in records if cpu_model in (None, one.cpu_model)]
        self._state = state_of(records, cpu_model)
        self._exact = {one.workload_key: one.schedule for one in own}
        others = [one for one in records if one not in own]
        self._known = _with_features([*own, *others], database)  # of the equally near, its own

    def find(self, workload: Workload) -> tuple[Schedule, Origin]:
        """Return a valid schedule of ``workload`` and where it comes from."""
        exact = self._exact.get(workload.key)
        if exact is not None and is_valid(exact, workload):
            return exact, "record"
        near = nearest(features_of(workload), self._known)
        if near is not None and _gain(near) >= SMALLEST_GAIN_TO_LEND:
            return refit(near.schedule, workload), "similar"
        return rule_schedule(workload), "rule"

    def state_sha256(self) -> str:
        return self._state


def open_schedules(
    schedules_dir: Path, target: Target, cpu_model: str | None = None
) -> TunedSchedules | None:
    """Return the tuned schedules of ``target``, ``None`` where none were ever kept.

    Args:
        cpu_model: The processor that the code will be timed on, if it is known.

    Raises:
        BadScheduleDatabase: there are some, and they can't be read.
    """
    if not database_path(schedules_dir, target).exists():
        return None
    with ScheduleDatabase.open(schedules_dir, target) as database:
        return TunedSchedules(database, cpu_model)


def similar_schedules(
    database: ScheduleDatabase, workload: Workload, *, at_most: int
) -> list[Schedule]:
    """Return what the workloads most like this one found best, re-fitted, the nearest first."""
    known = _with_features(database.all_best(), database)
    wanted = features_of(workload)
    ranked = sorted((wanted.distance(features), n) for n, (features, _) in enumerate(known))
    near = [known[n][1] for distance, n in ranked if distance < math.inf]
    return [refit(one.schedule, workload) for one in near[:at_most]]


def _with_features(records: list[TuningRecord], database: ScheduleDatabase) -> Known:
    features = database.features()
    return [(Features.from_text(features[one.workload_key]), one) for one in records]


def _gain(record: TuningRecord) -> float:
    """Return by how much of its time the record beats the rule."""
    if record.rule_us is None or record.median_us is None:
        return 0.0
    return 1.0 - record.median_us / record.rule_us
