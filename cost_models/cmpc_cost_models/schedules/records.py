"""What came of one schedule of one workload, and how it lies in the database."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from cmpc_cost_models.schedules.schedule import Schedule

__all__ = ["COLUMNS", "FIELDS", "TuningRecord", "as_record", "as_row", "schedule_text"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TuningRecord:
    """What came of one schedule of one workload: a time, or the reason why there is none.

    Attributes:
        workload_key: ``Workload.key``.
        cpu_model: Of the processor that it was timed on, as its fingerprint names it; empty where
            nobody could tell. The code is the same on all of a target, the times are not.
        median_us, spread_us: Median and median absolute deviation of the repeats that nothing
            disturbed, ``num_repeats`` of them, in microseconds; ``None`` where ``error`` is set.
        rule_us: Median of the rule's schedule, timed in turn with this one.
        machine: Who measured, as its fingerprint tells it.
        measured_at: UTC, ISO 8601.
    """

    workload_key: str
    cpu_model: str = ""
    schedule: Schedule
    median_us: float | None = None
    spread_us: float | None = None
    num_repeats: int = 0
    rule_us: float | None = None
    error: str | None = None
    machine: Mapping[str, Any] = field(default_factory=dict)
    measured_at: str = ""


FIELDS = tuple(one.name for one in fields(TuningRecord))
COLUMNS = ", ".join(FIELDS).replace("workload_key", "workload")


def as_row(record: TuningRecord) -> tuple[Any, ...]:
    """Return the values of ``COLUMNS``."""
    values = {name: getattr(record, name) for name in FIELDS}
    texts = {
        "schedule": schedule_text(record.schedule),
        "machine": json.dumps(dict(record.machine)),
    }
    return tuple((values | texts).values())


def as_record(row: tuple[Any, ...]) -> TuningRecord:
    """Read what ``as_row`` returned."""
    values = dict(zip(FIELDS, row, strict=True))
    schedule = Schedule.from_json(json.loads(values["schedule"]))
    return TuningRecord(**values | {"schedule": schedule, "machine": json.loads(values["machine"])})


def schedule_text(schedule: Schedule) -> str:
    return json.dumps(schedule.to_json(), sort_keys=True)
