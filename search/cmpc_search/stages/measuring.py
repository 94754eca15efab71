"""Who tells the latencies of a run? The meter of its device, with the caches where they are."""

from pathlib import Path

from cmpc_cost_models import Target
from cmpc_cost_models.models import catalogue as meters
from cmpc_cost_models.models.catalogue import AnyMeter
from cmpc_cost_models.targets.device import Device
from cmpc_cost_models.timing.settings import MeasureSettings
from cmpc_search.runs import RunFolder

__all__ = ["SCHEDULES", "make_meter"]

SCHEDULES = "schedules"  # in the cache: what `cmpc tune` found


def make_meter(
    run: RunFolder,
    target: Target,
    device: Device | None,
    *,
    cache_dir: Path,
    is_brief: bool = False,
) -> AnyMeter:
    """Return what tells the latencies of a run's networks; a context manager, not yet entered.

    Args:
        device: Where networks are timed; None is this machine if it can run the target, else
            latencies are predicted.
        is_brief: Measure as one does where there are many candidates.

    Raises:
        BadArgument: the device can't run the target, or nothing compiles for it here.
    """
    return meters.make_meter(
        target,
        device,
        cache_dir=run.compiled_path,
        runtime_dir=cache_dir,
        schedules_dir=cache_dir / SCHEDULES,
        settings=MeasureSettings.brief() if is_brief else None,
    )
