"""What came of one schedule of one workload, and how it lies in the database."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cmpc_cost_models.schedules.schedule import Schedule

__all__ = ["COLUMNS", "TuningRecord", "as_record", "as_row", "schedule_text"]

COLUMNS = (
    "workload, cpu_model, schedule, median_us, spread_us, num_repeats, rule_us, error, machine, "
    "measured_at"
)


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


def as_row(record: TuningRecord) -> tuple[Any, ...]:
    return (
        record.workload_key,
        record.cpu_model,
        schedule_text(record.schedule),
        record.median_us,
        record.spread_us,
        record.num_repeats,
        record.rule_us,
        record.error,
        json.dumps(dict(record.machine)),
        record.measured_at,
    )


def as_record(row: tuple[Any, ...]) -> TuningRecord:
    key, cpu_model, schedule, median, spread, repeats, rule, error, machine, measured_at = row
    return TuningRecord(
        workload_key=key,
        cpu_model=cpu_model,
        schedule=Schedule.from_json(json.loads(schedule)),
        median_us=median,
        spread_us=spread,
        num_repeats=repeats,
        rule_us=rule,
        error=error,
        machine=json.loads(machine),
        measured_at=measured_at,
    )


def schedule_text(schedule: Schedule) -> str:
    return json.dumps(schedule.to_json(), sort_keys=True)
