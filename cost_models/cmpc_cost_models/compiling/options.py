"""For what and how is a network compiled, and where is it kept?

An order crosses from a parent to its worker, which makes the options of one network of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cmpc_cost_models.schedules.rules import RULES_ONLY
from cmpc_cost_models.schedules.schedule import ScheduleSource
from cmpc_cost_models.targets.target import Target

__all__ = ["BuildOptions", "CompileOrder"]


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


@dataclass(frozen=True, kw_only=True, slots=True)
class CompileOrder:
    """How networks are compiled.

    Attributes:
        cache_dir: The cache: compiled networks and machine code of kernels are kept there.
        schedules_dir: Where tuned schedules are kept; without it rules of our own choose.
        num_threads: How many threads a network is compiled for and run on.
    """

    target: Target
    cache_dir: Path
    schedules_dir: Path | None = None
    num_threads: int = 1

    def to_json(self) -> dict[str, Any]:
        return {
            "target": self.target.to_json(),
            "cache_dir": str(self.cache_dir),
            "schedules_dir": self.schedules_dir and str(self.schedules_dir),
            "num_threads": self.num_threads,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        schedules_dir = document["schedules_dir"]
        return cls(
            target=Target.from_json(document["target"]),
            cache_dir=Path(document["cache_dir"]),
            schedules_dir=None if schedules_dir is None else Path(schedules_dir),
            num_threads=document["num_threads"],
        )
