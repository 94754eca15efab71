"""How long does a network take where it runs, on this machine or on a device? Timed there.

One worker process does the work and may be lost at any moment; whatever happens to a network comes
back as a ``Measurement``. What is measured is the library that ships: a cost names its hash.

    ONNX --compiler--> compiled and checked --blocks--> timed in turn with the reference network
         --verdict--> do the blocks agree? --history--> was the machine ever faster? --> Measurement

All of it is the same wherever the network runs; what differs is the site. When a device itself is
gone, ``DeviceUnreachable`` ends the work: the next network would fare no better.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Self

from cmpc_base.cache import Cache
from cmpc_cost_models.compiling.options import CompileOrder
from cmpc_cost_models.errors import CompileFailed
from cmpc_cost_models.models.base import CostModel
from cmpc_cost_models.models.checked_compiler import CheckedCompiler, as_request
from cmpc_cost_models.models.measurements import TimingContext, measurement_of
from cmpc_cost_models.records import CompiledNetwork, Cost, Measurement, Unknown
from cmpc_cost_models.sites.process import SiteProcess
from cmpc_cost_models.timing.attempts import most_stable
from cmpc_cost_models.timing.blocks import Blocks
from cmpc_cost_models.timing.history import doubted_by_history, keep_timings
from cmpc_cost_models.timing.reference import reference_network
from cmpc_cost_models.timing.settings import MeasureSettings

__all__ = ["MeasuredModel"]

MOST_REFERENCE_TRIES = 3  # to prepare it: each may take the whole time limit


class MeasuredModel(CostModel):
    """Measures networks, one after the other, in a worker of its own.

        with MeasuredModel(site_process(LOCAL, target), order) as meter:
            measurement = meter.measure(path)

    Args:
        site: Where they run; closed with the meter.

    Raises:
        DeviceUnreachable: from any method, when the site is a device that does not answer.
        BadArgument: (on entering) the device can't run the target's code.
    """

    def __init__(
        self, site: SiteProcess, order: CompileOrder, settings: MeasureSettings | None = None
    ) -> None:
        self.site = site
        self.settings = settings or MeasureSettings()
        self._order = order
        self._reference: CompiledNetwork | None = None
        self._reference_errors: list[str] = []
        self._compiler = CheckedCompiler(
            site=site,
            order=order,
            limit_seconds=self.settings.limit_seconds,
            check_seconds=self.settings.limit_seconds,
        )

    def __enter__(self) -> Self:
        self.site.__enter__()
        return self

    def close(self) -> None:
        """End the worker and give its processors back."""
        self.site.close()

    @property
    def note(self) -> str | None:
        """Say of a device that tells nothing what its latencies are worth."""
        return self.site.note

    def estimate(self, onnx_path: Path) -> Cost | Unknown:
        """Return the measured latency.

        Raises:
            CompileFailed: the network can't be compiled, answers wrongly or can't be timed.
        """
        found = self.measure(onnx_path)
        if found.cost is None:
            raise CompileFailed(f"{onnx_path.name} can't be measured: {found.error}")
        return found.cost

    def measure(self, onnx_path: Path) -> Measurement:
        """Compile, check and time one network; a failure is a measurement with an error."""
        return self.measure_interleaved([onnx_path])[0]

    def measure_interleaved(self, onnx_paths: Sequence[Path]) -> list[Measurement]:
        """Measure networks block by block in turn, so that a drifting clock favours none.

        Networks that fail are left out of the timing and come back with their error.
        """
        prepared = [self._compiler.compile(path) for path in onnx_paths]
        good = [one for one in prepared if isinstance(one, CompiledNetwork)]
        timed = iter(self._time(good) if good else [])
        return [next(timed) if isinstance(one, CompiledNetwork) else one for one in prepared]

    def _time(self, networks: list[CompiledNetwork]) -> list[Measurement]:
        """Time networks together, again while the timing is unstable and attempts are left."""
        reference = self._reference_network()
        try:
            best = most_stable(
                lambda: self._attempt(networks, reference), _instability, self.settings.max_attempts
            )
        except _NotTimed as error:
            return [Measurement(error=str(error), compiled=one) for one in networks]
        return best if reference else [self._without_reference(one) for one in best]

    def _attempt(
        self, networks: list[CompiledNetwork], reference: CompiledNetwork | None
    ) -> list[Measurement]:
        timed = [*networks, reference] if reference else networks
        request = {
            "networks": [as_request(one) for one in timed],
            "settings": asdict(self.settings.timing),
        }
        answer = self.site.ask("time", request, limit_seconds=self.settings.limit_seconds)
        if answer.error is not None:
            raise _NotTimed(answer.error)
        context = TimingContext.after_timing(self.site, self._order.target, self.settings.timing)
        blocks = Blocks.from_json(answer.result)
        found = [measurement_of(one, blocks, index, context) for index, one in enumerate(timed)]
        doubted = doubted_by_history(found[: len(networks)], *found[len(networks) :], how=self._how)
        keep_timings(found, how=self._how)
        return doubted

    def _reference_network(self) -> CompiledNetwork | None:
        """Return the reference network, once it is ready; a failure may be a busy machine's."""
        if self._reference is None and len(self._reference_errors) < MOST_REFERENCE_TRIES:
            prepared = self._compiler.compile(reference_network(Cache(self._order.cache_dir)))
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
        known = self.site.facts
        device = self.site.name if known.features is None else known.fingerprint.key
        facts = {"device": device, "cpus": self.site.cpus}
        return json.dumps(facts | asdict(self.settings.timing), sort_keys=True)


class _NotTimed(Exception):
    """Timing failed, for reasons of the networks that were timed together."""


def _instability(measurements: list[Measurement]) -> tuple[int, float]:
    """Order attempts: fewer doubts first, then the tighter spread."""
    doubts = sum(len(one.unstable_reasons) for one in measurements)
    spreads = [(one.cost.spread or 0.0) / one.cost.value for one in measurements if one.cost]
    return doubts, max(spreads, default=0.0)
