"""How long does a network take on this machine? Compile it, check its answer, time it.

One worker process does the work and may be lost at any moment; whatever happens to a network comes
back as a ``Measurement``. What is measured is the library that ships: a cost names its hash.

    ONNX --workbench--> compiled and checked --blocks--> timed in turn with the reference network
         --timing--> do the blocks agree? --history--> was the machine ever faster? --> verdict
"""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cmpc_base.cache import Cache
from cmpc_base.closeable import Closeable
from cmpc_cost_models.models.costs import as_measurements
from cmpc_cost_models.models.workbench import Workbench
from cmpc_cost_models.records import CompiledNetwork, Measurement
from cmpc_cost_models.targets.machine import cpu_model
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.timing.blocks import Blocks
from cmpc_cost_models.timing.history import doubted_by_history, keep_timings
from cmpc_cost_models.timing.reference import reference_network
from cmpc_cost_models.timing.settings import MeasureSettings

__all__ = ["LatencyMeter", "MeasureSettings"]

MOST_REFERENCE_TRIES = 3  # to prepare it: each may take the whole time limit


class LatencyMeter(Closeable):
    """Measures networks, one after the other, in a worker of its own.

        with LatencyMeter(find_target("host"), cache_dir=cache) as meter:
            measurement = meter.measure(path)

    Args:
        cache_dir: Where compiled networks are kept.
        schedules_dir: Where tuned schedules are kept; without it rules of our own choose.
        num_threads: How many threads a network is compiled for and run on.

    Raises:
        BadArgument: the target can't run on this machine, or there are too few processors.
    """

    def __init__(
        self,
        target: Target,
        *,
        cache_dir: Path,
        schedules_dir: Path | None = None,
        num_threads: int = 1,
        settings: MeasureSettings | None = None,
    ) -> None:
        self.settings = settings or MeasureSettings()
        self._cache_dir = cache_dir
        self._reference: CompiledNetwork | None = None
        self._reference_errors: list[str] = []
        self._bench = Workbench(
            target=target,
            cache_dir=cache_dir,
            schedules_dir=schedules_dir,
            num_threads=num_threads,
            settings=self.settings,
        )

    def close(self) -> None:
        """End the worker and give its processors back."""
        self._bench.close()

    @property
    def worker_pid(self) -> int | None:
        """The process that measures; ``None`` before the first network and after a loss."""
        return self._bench.worker.pid

    def measure(self, onnx_path: Path) -> Measurement:
        """Compile, check and time one network; a failure is a measurement with an error."""
        return self.measure_interleaved([onnx_path])[0]

    def measure_interleaved(self, onnx_paths: list[Path]) -> list[Measurement]:
        """Measure networks block by block in turn, so that a drifting clock favours none.

        Networks that fail are left out of the timing and come back with their error.
        """
        prepared = [self._bench.prepare(path) for path in onnx_paths]
        good = [one for one in prepared if isinstance(one, CompiledNetwork)]
        timed = iter(self._time(good) if good else [])
        return [next(timed) if isinstance(one, CompiledNetwork) else one for one in prepared]

    def _time(self, networks: list[CompiledNetwork]) -> list[Measurement]:
        """Time networks together, again while the timing is unstable and attempts are left."""
        reference = self._reference_network()
        timed = [*networks, reference] if reference else networks
        best: list[Measurement] = []
        for _ in range(self.settings.max_attempts):
            answer = self._bench.ask("time", self._timing_request(timed))
            if "error" in answer:
                return [Measurement(error=answer["error"], compiled=one) for one in networks]
            found = as_measurements(timed, Blocks.from_json(answer["result"]), self._bench)
            attempt = doubted_by_history(
                found[: len(networks)], *found[len(networks) :], how=self._how
            )
            keep_timings(found, how=self._how)
            best = min(best, attempt, key=_instability) if best else attempt
            if all(one.is_stable for one in best):
                break
        return best if reference else [self._without_reference(one) for one in best]

    def _reference_network(self) -> CompiledNetwork | None:
        """Return the reference network, once it is ready; a failure may be a busy machine's."""
        if self._reference is None and len(self._reference_errors) < MOST_REFERENCE_TRIES:
            path = reference_network(Cache(self._cache_dir))
            prepared = self._bench.prepare(path)
            if isinstance(prepared, CompiledNetwork):
                self._reference = prepared
            else:
                self._reference_errors.append(str(prepared.error))
        return self._reference

    def _without_reference(self, measurement: Measurement) -> Measurement:
        """Note in the cost that no reference network tells how fast the machine was."""
        if measurement.cost is None:
            return measurement
        why = f"how fast the reference network was meanwhile: {self._reference_errors[-1]}"
        cost = replace(measurement.cost, not_observed=(*measurement.cost.not_observed, why))
        return replace(measurement, cost=cost)

    @property
    def _how(self) -> str:
        """What must be the same for two timings of a library to be compared."""
        facts = {"cpu_model": cpu_model(), "cpus": self._bench.cpus}
        return json.dumps(facts | asdict(self.settings.timing), sort_keys=True)

    def _timing_request(self, networks: list[CompiledNetwork]) -> dict[str, Any]:
        return {
            "networks": [self._bench.loadable(one) for one in networks],
            "settings": asdict(self.settings.timing),
            "cpus": list(self._bench.cpus),
        }


def _instability(measurements: list[Measurement]) -> tuple[int, float]:
    """Order attempts: fewer doubts first, then the tighter spread."""
    doubts = sum(len(one.unstable_reasons) for one in measurements)
    spreads = [one.cost.spread / one.cost.value for one in measurements if one.cost]  # type: ignore[operator]
    return doubts, max(spreads, default=0.0)
