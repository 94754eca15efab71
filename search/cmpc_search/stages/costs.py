"""What one image costs a network: arithmetic, which is counted, and latency, where it is told.

The latency is that of the meter of a device, with the caches where they are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cmpc_base.cache import Cache
from cmpc_base.progress import SILENT, Observer
from cmpc_cost_models import Target
from cmpc_cost_models.compiling.entries import keep_compiled
from cmpc_cost_models.compiling.options import CompileOrder
from cmpc_cost_models.graphs.counting import count_network
from cmpc_cost_models.models import catalogue as meters
from cmpc_cost_models.models.base import CostModel
from cmpc_cost_models.records import Measurement
from cmpc_cost_models.targets.device import Device
from cmpc_cost_models.timing.settings import MeasureSettings
from cmpc_search.runs.evaluation import NetworkCost
from cmpc_search.study.records import CandidateScore

__all__ = ["device_costs", "make_meter", "network_cost", "with_measurement"]


def network_cost(
    onnx_path: Path, cost_model: CostModel | None, *, kept_in: Path | None = None
) -> NetworkCost:
    """Count a network; let ``cost_model`` tell its latency, or say why it can't.

    Args:
        cost_model: None where the cost is counted in MACs and nothing is compiled.
        kept_in: Where what was compiled is kept: the very file that was timed may ship.
    """
    counted = count_network(onnx_path)
    if cost_model is None:
        return NetworkCost(macs=counted.macs, parameters=counted.parameters, latency=None)
    measurement = cost_model.measure(onnx_path)
    if kept_in is not None and measurement.compiled is not None:
        keep_compiled(measurement.compiled, kept_in)
    return NetworkCost(
        macs=counted.macs,
        parameters=counted.parameters,
        latency=measurement.cost,
        unstable_reasons=tuple(measurement.unstable_reasons),
        unknown_reasons=measurement.unknown_reasons,
        error=measurement.error,
    )


def with_measurement(score: CandidateScore, found: Measurement) -> CandidateScore:
    """Return the score of a candidate with another measurement of its latency."""
    return replace(
        score,
        latency=None if found.cost is None else found.cost.to_json(),
        unstable_reasons=tuple(found.unstable_reasons),
        unknown_reasons=found.unknown_reasons,
        error=found.error,
    )


def make_meter(
    target: Target,
    device: Device | None,
    *,
    cache_dir: Path,
    is_brief: bool = False,
) -> CostModel:
    """Return what tells the latencies of a run's networks; a context manager, not yet entered.

    Args:
        device: Where networks are timed; None is this machine if it can run the target, else
            latencies are predicted.
        is_brief: Measure as one does where there are many candidates.

    Raises:
        BadArgument: the device can't run the target, or nothing compiles for it here.
    """
    order = CompileOrder(
        target=target, cache_dir=cache_dir, schedules_dir=Cache(cache_dir).schedules
    )
    settings = MeasureSettings.brief() if is_brief else None
    return meters.make_meter(order, device, settings)


@contextmanager
def device_costs(
    target: Target,
    device_name: str | None,
    *,
    cache_dir: Path,
    is_brief: bool = False,
    observer: Observer = SILENT,
) -> Iterator[CostModel]:
    """Open what `make_meter` gives for a device by its name, and tell what its costs are worth.

    Raises:
        DeviceUnreachable: it does not answer.
    """
    device = None if device_name is None else Device.named(device_name)
    with make_meter(target, device, cache_dir=cache_dir, is_brief=is_brief) as meter:
        if meter.note:
            observer.notice(meter.note)
        yield meter
