"""What a profile says: a time for each kernel, a time for the whole, and how they fit together.

    total (measured, undisturbed)  =  sum of kernels  +  virtual machine  +  rest

A network that was compiled ahead has no virtual machine. Where there is one, its own calls are
timed too: they prepare memory and pass tensors on. The rest is what no call accounts for. Calls are
timed with the stopwatch on, the total without: where calls are so short that the stopwatch shows,
they come to more than the total. Then the parts can't be told apart, and ``parts_us`` puts together
what can't.
"""

from dataclasses import asdict, dataclass
from typing import Any

from cmpc_cost_models.models.limits import Roofline
from cmpc_cost_models.records import Cost, KernelRecord, NodePath

__all__ = ["Comparison", "KernelTime", "NetworkProfile"]


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelTime:
    """One kernel at its place in the network.

    Attributes:
        position: Its number among the kernels, from 1, in the order in which they run.
        record: What its writer knows. Copies that TVM adds by itself are its importer's.
        num_bytes: Counted: of the tensors that it reads and writes.
        time_us, spread_us: Measured: median over the blocks in undisturbed rounds, and its median
            absolute deviation.
        least_us: What the roofline allows at best; None where its operations aren't known.
        bound_by: ``arithmetic`` or ``memory``, whatever limits it at best; None likewise.
    """

    position: int
    record: KernelRecord
    num_bytes: int
    time_us: float
    spread_us: float
    share: float
    least_us: float | None
    bound_by: str | None

    @property
    def gflops(self) -> float | None:
        """10^9 operations per second; None for a copy, and where nobody counted them."""
        return self.record.flops / self.time_us / 1e3 if self.record.flops else None

    @property
    def roofline_share(self) -> float | None:
        """How much of the best possible speed it reaches; None where that isn't known."""
        return None if self.least_us is None else self.least_us / self.time_us

    def to_json(self) -> dict[str, Any]:
        record = self.record
        return {
            "position": self.position,
            "name": record.symbol,
            "kind": record.kind,
            "shape": record.shape,
            "time_us": self.time_us,
            "spread_us": self.spread_us,
            "share": self.share,
            "flops": record.flops,
            "num_bytes": self.num_bytes,
            "gflops": self.gflops,
            "least_us": self.least_us,
            "roofline_share": self.roofline_share,
            "bound_by": self.bound_by,
            "schedule_source": record.origin,
            "schedule": record.schedule,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Another runtime on the same network, timed in turn with ours in one process.

    Attributes:
        ratio: Our latency over the rival's, median over pairs of neighbouring blocks.
        ratio_spread: Median absolute deviation of the pairs' ratios.
        ratio_p10, ratio_p90: Quantiles of the pairs' ratios.
        ours_ms, rival_ms: Medians; both were called from Python, which is in them.
        unstable_reasons: Why the ratio may not be trusted; empty where it may.
    """

    rival: str
    rival_version: str
    ratio: float
    ratio_spread: float
    ratio_p10: float
    ratio_p90: float
    num_pairs: int
    ours_ms: float
    rival_ms: float
    unstable_reasons: tuple[str, ...] = ()

    @property
    def is_stable(self) -> bool:
        return not self.unstable_reasons

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "is_stable": self.is_stable,
            "unstable_reasons": list(self.unstable_reasons),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkProfile:
    """Everything that profiling a network found.

    Attributes:
        total: Measured without the stopwatch; the evidence is in it.
        executor: What makes the calls, see ``CompiledNetwork``.
        machine_us: Measured: all calls of the virtual machine's own, in one run, with the stopwatch
            on, which costs some tens of nanoseconds a call. 0 where there is no machine.
        fastest_us: The total and the sum of all calls in the fastest block of each. On a machine
            that is not quiet these two still have to agree, where medians need not.
        unstable_reasons: Why the times may not be trusted; empty where they may.
    """

    network: str
    graph_sha256: str
    input_shape: tuple[int, ...]
    num_threads: int
    total: Cost
    kernels: tuple[KernelTime, ...]
    machine_us: float
    fastest_us: tuple[float, float]
    roofline: Roofline
    nodes: tuple[NodePath, ...] = ()
    comparison: Comparison | None = None
    unstable_reasons: tuple[str, ...] = ()
    executor: str = "vm"

    @property
    def sum_us(self) -> float:
        """All kernels together."""
        return sum(one.time_us for one in self.kernels)

    @property
    def parts_us(self) -> dict[str, float]:
        """What the total is made of: parts that add up to it, none of them negative.

        Without ``rest`` where the calls' times leave none, see above.
        """
        left = self.total.value * 1e3 - self.sum_us
        if self.executor == "aot":
            whole = {"kernels and rest": self.total.value * 1e3}
            return whole if left < 0 else {"kernels": self.sum_us, "rest": left}
        if left < 0:
            return {"kernels and virtual machine": self.total.value * 1e3}
        if left < self.machine_us:
            return {"kernels": self.sum_us, "virtual machine and rest": left}
        return {
            "kernels": self.sum_us,
            "virtual machine": self.machine_us,
            "rest": left - self.machine_us,
        }

    @property
    def uncounted(self) -> tuple[KernelTime, ...]:
        """The kernels whose operations nobody could count."""
        return tuple(one for one in self.kernels if one.record.flops is None)

    @property
    def flops(self) -> int | None:
        """The operations of one run; None where those of some kernel aren't known."""
        counts = [one.record.flops for one in self.kernels]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    @property
    def gflops(self) -> float | None:
        """10^9 operations per second over the whole run; None where not all are known."""
        return None if self.flops is None else self.flops / (self.total.value * 1e6)

    @property
    def least_us(self) -> float | None:
        """What the roofline allows at best for all kernels together; None where one isn't known."""
        limits = [one.least_us for one in self.kernels]
        known = [limit for limit in limits if limit is not None]
        return sum(known) if len(known) == len(limits) else None

    @property
    def is_stable(self) -> bool:
        """Whether all times may be trusted, those of a comparison too."""
        return not self.unstable_reasons and (self.comparison is None or self.comparison.is_stable)

    def time_by_origin(self) -> dict[str, float]:
        """Return the microseconds spent in kernels of each origin, the most first."""
        times: dict[str, float] = {}
        for one in self.kernels:
            times[one.record.origin] = times.get(one.record.origin, 0.0) + one.time_us
        return dict(sorted(times.items(), key=lambda item: -item[1]))

    def to_json(self) -> dict[str, Any]:
        return {
            "network": self.network,
            "graph_sha256": self.graph_sha256,
            "input_shape": list(self.input_shape),
            "target": self.total.target,
            "num_threads": self.num_threads,
            "is_stable": self.is_stable,
            "unstable_reasons": list(self.unstable_reasons),
            "total": self.total.to_json(),
            "sum_of_kernels_us": self.sum_us,
            "executor": self.executor,
            "virtual_machine_us": self.machine_us,
            "parts_us": self.parts_us,
            "fastest_block": {
                "total_us": self.fastest_us[0],
                "sum_of_calls_us": self.fastest_us[1],
            },
            "flops": self.flops,
            "gflops": self.gflops,
            "least_us": self.least_us,
            "uncounted_kernels": [one.record.symbol for one in self.uncounted],
            "roofline": self.roofline.to_json(),
            "time_us_by_schedule_source": self.time_by_origin(),
            "kernels": [one.to_json() for one in self.kernels],
            "nodes": [one.to_json() for one in self.nodes],
            "comparison": self.comparison and self.comparison.to_json(),
        }
