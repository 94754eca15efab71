"""How tuning reads: a row for each workload, and in a line what it brought."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from cmpc.output import make_table
from cmpc.reports.base import Report
from cmpc_cost_models.kernels.facts import kind_of, shape_of

if TYPE_CHECKING:
    from rich.table import Table

    from cmpc_cost_models.tuning.tuner import TaskReport
    from cmpc_search.stages.schedule_tuning import TuneOrder, TuneResult, TuneTotals

__all__ = ["tuning_report", "tuning_sentences", "tuning_table"]

WORTH_TELLING = 0.05
COLUMNS = (
    *("kind", "shape", "calls", "rule_us", "best_us", "spread_us", "gain_percent"),
    *("num_trials", "num_failed"),
)


def tuning_report(order: "TuneOrder", found: "TuneResult") -> Report:
    """Tell of what tuning found."""
    return Report(
        document=_document(order, found),
        tables=(tuning_table(found.reports),),
        sentences=tuple(tuning_sentences(found.totals, found.waiting_share)),
    )


def _document(order: "TuneOrder", found: "TuneResult") -> dict[str, object]:
    return {
        "path": order.model,
        "target": found.target.name,
        "num_threads": order.num_threads,
        "device": order.device.name,
        "database": found.database_path,
        "state_sha256": found.state_sha256,
        "waiting_share": found.waiting_share,
        **asdict(found.totals),
        "workloads": [_described(one) for one in found.reports],
    }


def tuning_table(reports: Sequence["TaskReport"]) -> "Table":
    """Lay out the workloads, those that do the most first."""
    rows = [_described(one) for one in reports]
    columns = [name.replace("_", " ") for name in COLUMNS]
    return make_table(columns, [[row[name] for name in COLUMNS] for row in rows])


def tuning_sentences(totals: "TuneTotals", waiting_share: float) -> Iterator[str]:
    """Say what tuning brought, and whether the times can be taken as they are."""
    if totals.best_us == 0.0:
        yield "no workload was measured"
    else:
        yield (
            f"{totals.num_tuned} workloads are tuned: their kernels take "
            f"{totals.best_us / totals.rule_us:.0%} of the time under the rules "
            f"({totals.num_failed} of {totals.num_trials} schedules failed)"
        )
    if waiting_share > WORTH_TELLING:
        yield (
            f"others used the processor for {waiting_share:.0%} of the time: the choices stand, "
            "the times shown are too long"
        )


def _described(report: "TaskReport") -> dict[str, object]:
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
