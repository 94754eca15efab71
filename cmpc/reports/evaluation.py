"""What a run is worth: how well it retrieves, what it costs, and what the numbers mean."""

from typing import TYPE_CHECKING

from cmpc.reports.accuracies import accuracy_table, protocol_table, verdict
from cmpc.reports.base import Report
from cmpc.reports.costs import cost_table, unknown_latencies, unstable_latencies, warnings_of

if TYPE_CHECKING:
    from cmpc_search.runs.evaluation import Evaluation

__all__ = ["evaluation_report"]


def evaluation_report(found: "Evaluation") -> Report:
    """Tell of an evaluation."""
    tables = (accuracy_table(found), protocol_table(found), cost_table(found))
    return Report(
        document=found.to_json(),
        tables=tuple(table for table in tables if table is not None),
        sentences=(*warnings_of(found), *verdict(found)),
        doubts=tuple(unstable_latencies(found)),
        unknowns=tuple(unknown_latencies(found)),
    )
