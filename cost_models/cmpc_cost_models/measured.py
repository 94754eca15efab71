"""How long does a network take on this machine? Compile it, check its answer, time it.

One worker process does the work and may be lost at any moment; whatever happens to a network comes
back as a ``Measurement``. What is measured is the library that ships: a cost names its hash.

    ONNX --> compile (cached) --> same answer as ONNX Runtime? --> warm up --> blocks --> verdict
"""

import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cmpc_cost_models.base import CompiledNetwork, Cost, Measurement
from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.machine import describe_machine, describe_versions
from cmpc_cost_models.measuring.timing import BlockStatistics, summarise_blocks
from cmpc_cost_models.measuring.worker_process import WorkerProcess
from cmpc_cost_models.targets import Target

__all__ = ["LatencyMeter", "MeasureSettings"]

NUM_THREADS = 1  # the kernels are written for one core
LARGEST_DIFFERENCE = 1e-3  # of the largest value; float32 sums in another order stay below 1e-5


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasureSettings:
    """How to measure.

    Attributes:
        num_blocks: How many blocks are timed; a block's mean is one repeat.
        max_seconds: Slow networks get fewer blocks, at least three, to stay within this.
        block_ms: How long one block runs at least; clocks and calls must not show.
        warmup_ms: How long a network runs before the first block.
        limit_seconds: Time limit for each of compiling, checking and timing one network.
        max_attempts: How often an unstable timing is repeated before it is given as it is.
        cpus: The processors to pin the worker to while it times; empty for the last one allowed.
    """

    num_blocks: int = 30
    max_seconds: float = 10.0
    block_ms: float = 5.0
    warmup_ms: float = 50.0
    limit_seconds: float = 120.0
    max_attempts: int = 3
    cpus: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.max_attempts < 1 or self.num_blocks < 3:
            raise BadArgument(
                "`max_attempts >= 1` and `num_blocks >= 3` must hold, "
                f"got {self.max_attempts} and {self.num_blocks}"
            )
        times = (self.block_ms, self.max_seconds, self.limit_seconds)
        if min(times) <= 0 or self.warmup_ms < 0:
            raise BadArgument(
                "`block_ms`, `max_seconds` and `limit_seconds` must be positive and `warmup_ms` "
                f"not negative for measuring to make sense, got {times} and {self.warmup_ms}"
            )


class LatencyMeter:
    """Measures networks, one after the other, in a worker of its own.

        with LatencyMeter(Target.named("host"), cache_dir=cache) as meter:
            measurement = meter.measure(path)

    Raises:
        BadArgument: the target can't run on this machine.
    """

    def __init__(
        self, target: Target, *, cache_dir: Path, settings: MeasureSettings | None = None
    ) -> None:
        if reason := target.why_not_here():
            raise BadArgument(
                f"target {target.name} can't be measured here, because {reason}; "
                "measure on a machine of that kind"
            )
        self.target = target
        self.settings = settings or MeasureSettings()
        self._cache_dir = cache_dir
        self._worker = WorkerProcess(num_threads=NUM_THREADS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker."""
        self._worker.close()

    @property
    def worker_pid(self) -> int | None:
        """The process that measures; ``None`` before the first network and after a loss."""
        return self._worker.pid

    def measure(self, onnx_path: Path) -> Measurement:
        """Compile, check and time one network; a failure is a measurement with an error."""
        return self.measure_interleaved([onnx_path])[0]

    def measure_interleaved(self, onnx_paths: list[Path]) -> list[Measurement]:
        """Measure networks block by block in turn, so that a drifting clock favours none.

        Networks that fail are left out of the timing and come back with their error.
        """
        prepared = [self._prepare(path) for path in onnx_paths]
        good = [one for one in prepared if isinstance(one, CompiledNetwork)]
        timed = iter(self._time(good) if good else [])
        return [next(timed) if isinstance(one, CompiledNetwork) else one for one in prepared]

    def _prepare(self, onnx_path: Path) -> CompiledNetwork | Measurement:
        """Return the network compiled and checked, or the measurement that says why not."""
        request = {"onnx_path": str(onnx_path), "cache_dir": str(self._cache_dir)}
        answer = self._ask("compile", request | {"target": self.target.to_json()})
        if "error" in answer:
            return Measurement(error=answer["error"])
        compiled = CompiledNetwork.from_json(answer["result"])
        request = {"onnx_path": str(onnx_path), **_as_request(compiled)}
        answer = self._ask("check", request)
        if "error" in answer:
            return Measurement(error=answer["error"], compiled=compiled)
        difference = answer["result"]["relative_difference"]
        if difference is None or difference > LARGEST_DIFFERENCE:
            given = "isn't finite" if difference is None else f"is off by {difference:.1e}"
            return Measurement(
                error=f"wrong answer: it must be within {LARGEST_DIFFERENCE:g} of ONNX Runtime's "
                f"and {given}",
                compiled=compiled,
            )
        return compiled

    def _time(self, networks: list[CompiledNetwork]) -> list[Measurement]:
        """Time networks together, again while the timing is unstable and attempts are left."""
        best: list[Measurement] = []
        for _ in range(self.settings.max_attempts):
            answer = self._ask("time", self._timing_request(networks))
            if "error" in answer:
                return [Measurement(error=answer["error"], compiled=one) for one in networks]
            attempt = self._as_measurements(networks, answer["result"])
            best = min(best, attempt, key=_instability) if best else attempt
            if all(one.is_stable for one in best):
                break
        return best

    def _timing_request(self, networks: list[CompiledNetwork]) -> dict[str, Any]:
        settings = self.settings
        cpus = settings.cpus or sorted(os.sched_getaffinity(0))[-NUM_THREADS:]
        return {
            "networks": [_as_request(one) for one in networks],
            "settings": {
                "num_blocks": settings.num_blocks,
                "block_ms": settings.block_ms,
                "warmup_ms": settings.warmup_ms,
                "max_seconds": settings.max_seconds,
            },
            "cpus": list(cpus),
        }

    def _as_measurements(
        self, networks: list[CompiledNetwork], result: dict[str, Any]
    ) -> list[Measurement]:
        machine = describe_machine() | {"num_threads": NUM_THREADS}
        versions = describe_versions()
        measurements = []
        for network, blocks_ms in zip(networks, result["blocks_ms"], strict=True):
            blocks = summarise_blocks(blocks_ms, cpu_share=result["cpu_share"])
            cost = _as_cost(blocks, network, self.target, machine, versions)
            measurements.append(
                Measurement(
                    cost=cost,
                    compiled=network,
                    is_stable=not blocks.unstable_reasons,
                    unstable_reasons=blocks.unstable_reasons,
                )
            )
        return measurements

    def _ask(self, verb: str, request: dict[str, Any]) -> dict[str, Any]:
        return self._worker.ask({"verb": verb} | request, limit_seconds=self.settings.limit_seconds)


def _as_cost(
    blocks: BlockStatistics,
    network: CompiledNetwork,
    target: Target,
    machine: dict[str, Any],
    versions: dict[str, str],
) -> Cost:
    return Cost(
        name="latency",
        value=blocks.median_ms,
        unit="ms",
        source="measured",
        count=blocks.num_blocks,
        spread=blocks.mad_ms,
        p90=blocks.p90_ms,
        p99=blocks.p99_ms,
        target=target.name,
        machine=machine,
        versions=versions,
        artefact_sha256=network.sha256,
    )


def _as_request(network: CompiledNetwork) -> dict[str, Any]:
    return {"library": str(network.path), "input_shape": list(network.input_shape)}


def _instability(measurements: list[Measurement]) -> tuple[int, float]:
    """Order attempts: fewer doubts first, then the tighter spread."""
    doubts = sum(len(one.unstable_reasons) for one in measurements)
    spreads = [one.cost.spread / one.cost.value for one in measurements if one.cost]  # type: ignore[operator]
    return doubts, max(spreads, default=0.0)
