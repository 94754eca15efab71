"""How fast could a kernel be at best? The roofline model, with a roof for each level of memory.

A kernel takes at least its arithmetic over the peak, and at least its bytes over the bandwidth
(Williams, Waterman, Patterson: Roofline, CACM 2009). Which bandwidth depends on where the bytes
lie; taken is that of the smallest level that holds them all, the most a kernel may hope for.
"""

from dataclasses import asdict, dataclass
from typing import Any

from cmpc_cost_models.errors import BadArgument

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
        bandwidths: By level of memory, the nearest and smallest first.
        source: ``measured``, beside the network.
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

    def least_us(self, *, flops: int, num_bytes: int) -> float:
        """Return the microseconds that no kernel with this work can beat."""
        return max(self._arithmetic_us(flops), self._memory_us(num_bytes))

    def bound_by(self, *, flops: int, num_bytes: int) -> str:
        """Tell whether ``arithmetic`` or ``memory`` limits a kernel with this work."""
        is_memory = self._memory_us(num_bytes) > self._arithmetic_us(flops)
        return "memory" if is_memory else "arithmetic"

    def gb_per_s(self, num_bytes: int) -> float:
        """Return the bandwidth of the smallest level that holds ``num_bytes``."""
        fitting = [one for one in self.bandwidths if num_bytes <= one.num_bytes]
        return (fitting[0] if fitting else self.bandwidths[-1]).gb_per_s

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"bandwidths": [asdict(one) for one in self.bandwidths]}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Roofline":
        bandwidths = tuple(Bandwidth(**one) for one in document["bandwidths"])
        return cls(**document | {"bandwidths": bandwidths})

    def _arithmetic_us(self, flops: int) -> float:
        return flops / (self.gflops * 1e3)

    def _memory_us(self, num_bytes: int) -> float:
        return num_bytes / (self.gb_per_s(num_bytes) * 1e3)
