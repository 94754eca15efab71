"""All that decides what a graph becomes, and where parts of the work are kept."""

from dataclasses import dataclass
from pathlib import Path

from cmpc_cost_models.schedules.rules import RULES_ONLY
from cmpc_cost_models.schedules.schedule import ScheduleSource
from cmpc_cost_models.targets.target import Target

__all__ = ["BuildOptions"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildOptions:
    """For what, how and with what a network is built.

    Attributes:
        objects_dir: Where machine code of kernels is kept for the next network.
        num_threads: How many threads will run it; one makes no parallel loop.
        schedules: Who chooses the kernels' schedules; by default the rules.
    """

    target: Target
    objects_dir: Path
    num_threads: int = 1
    schedules: ScheduleSource = RULES_ONLY
