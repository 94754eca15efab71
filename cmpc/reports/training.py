"""Which networks of a run are trained now, and where they are."""

from typing import TYPE_CHECKING

from cmpc.output import make_table
from cmpc.reports.base import Report

if TYPE_CHECKING:
    from cmpc_search.stages.training import TrainResult

__all__ = ["training_report"]


def training_report(found: "TrainResult") -> Report:
    """Tell of the trained networks of the pick, by seed, and of the control behind them."""
    folders = [one.folder for one in found.trained]
    return Report(
        document={
            "run": found.run.path,
            "architecture": found.architecture.key,
            "trained": [folder.name for folder in folders],
        },
        tables=(make_table(("trained", "folder"), [(one.name, one) for one in folders]),),
    )
