"""What is to be compiled, for what, and where it is kept: what parent and worker agree on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cmpc_cost_models.targets.target import Target

__all__ = ["CompileOrder"]


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
