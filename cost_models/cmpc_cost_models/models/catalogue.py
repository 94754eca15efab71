"""Who tells what a network costs on a target? The meter that fits the device.

this machine     measured.LatencyMeter     timed here
rpc://...        models.remote.RemoteMeter timed there
none             predicted.PredictedMeter  compiled and checked here, latency predicted
"""

from pathlib import Path

from cmpc_cost_models.models.measured import LatencyMeter, MeasureSettings
from cmpc_cost_models.models.predicted import PredictedMeter
from cmpc_cost_models.models.remote import RemoteMeter
from cmpc_cost_models.targets.device import Device
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.targets.toolchain import find_toolchain

__all__ = ["AnyMeter", "make_meter"]

AnyMeter = LatencyMeter | RemoteMeter | PredictedMeter


def make_meter(
    target: Target,
    device: Device | None,
    *,
    cache_dir: Path,
    runtime_dir: Path,
    schedules_dir: Path | None = None,
    settings: MeasureSettings | None = None,
) -> AnyMeter:
    """Return the meter for ``device``, a context manager, not yet entered.

    Args:
        device: Where to run; ``None`` is this machine if it can run the target, and nowhere else.
        cache_dir: Where compiled networks are kept.
        runtime_dir: The cache that ``cmpc targets fetch`` fills.
        schedules_dir: Where tuned schedules are kept; without it rules of our own choose.
        settings: How to measure, where something is.

    Raises:
        BadArgument: the device can't be that of the target, or nothing compiles for it here.
    """
    device = device or Device.default_for(target)
    find_toolchain(target, cache_dir=runtime_dir).require_compiler()
    if device.kind == "rpc":
        return RemoteMeter(
            target, device, cache_dir=cache_dir, schedules_dir=schedules_dir, settings=settings
        )
    if device.kind == "none":
        return PredictedMeter(
            target, cache_dir=cache_dir, runtime_dir=runtime_dir, schedules_dir=schedules_dir
        )
    return LatencyMeter(target, cache_dir=cache_dir, schedules_dir=schedules_dir, settings=settings)
