"""How fast could a kernel be at best? The roofline model, with a roof for each level of memory.

A kernel that does F float32 operations and moves B bytes takes at least

    max(F / P, B / M)          P: peak in operations, M: bandwidth in bytes a second

(Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore
architectures", CACM 52(4), 2009).
"""

import sys
from dataclasses import asdict, dataclass
from typing import Any, Self

from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.plans.work import Work
from cmpc_cost_models.targets.target import Target

__all__ = ["Bandwidth", "Roofline"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bandwidth:
    """How fast bytes come and go while ``num_bytes`` or fewer are in use."""

    num_bytes: int
    gb_per_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Roofline:
    """The limits of the processors that run a network, all of them together.

    Attributes:
        gflops: 10^9 float32 operations per second; a multiply-add is two.
        bandwidths: By level of memory, the nearest and smallest first. Which one counts depends on
            where the bytes lie; taken is that of the smallest level that holds them all, the most
            that a kernel may hope for.
        source: ``measured``, beside a network, or the target's ``table``.
    """

    gflops: float
    bandwidths: tuple[Bandwidth, ...]
    source: str

    def __post_init__(self) -> None:
        if self.gflops <= 0 or not self.bandwidths:
            raise BadArgument(
                f"`gflops > 0` and some `bandwidths` must hold, got {self.gflops} and "
                f"{self.bandwidths}"
            )

    @classmethod
    def of_target(cls, target: Target) -> Self:
        """Return the limits of one core of ``target``; its caches are left out."""
        memory = Bandwidth(num_bytes=sys.maxsize, gb_per_s=target.memory_gb_per_s)
        return cls(gflops=target.peak_gflops, bandwidths=(memory,), source="table")

    def least_us(self, work: Work) -> float:
        """Return the microseconds that no kernel with this work can beat."""
        return max(self._arithmetic_us(work), self._memory_us(work))

    def bound_by(self, work: Work) -> str:
        """Tell whether ``arithmetic`` or ``memory`` limits a kernel with this work."""
        is_memory = self._memory_us(work) > self._arithmetic_us(work)
        return "memory" if is_memory else "arithmetic"

    def gb_per_s(self, num_bytes: int) -> float:
        """Return the bandwidth of the smallest level that holds ``num_bytes``."""
        fitting = (one for one in self.bandwidths if num_bytes <= one.num_bytes)
        return next(fitting, self.bandwidths[-1]).gb_per_s

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"bandwidths": [asdict(one) for one in self.bandwidths]}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        bandwidths = tuple(Bandwidth(**one) for one in document["bandwidths"])
        return cls(**document | {"bandwidths": bandwidths})

    def _arithmetic_us(self, work: Work) -> float:
        return work.flops / (self.gflops * 1e3)

    def _memory_us(self, work: Work) -> float:
        return work.num_bytes / (self.gb_per_s(work.num_bytes) * 1e3)
