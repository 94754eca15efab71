"""Who tells the latencies of a run? The meter of its device, with the caches where they are."""

from pathlib import Path

from cmpc_base.cache import Cache
from cmpc_cost_models import Target
from cmpc_cost_models.models import catalogue as meters
from cmpc_cost_models.models.base import CostModel
from cmpc_cost_models.sites.orders import CompileOrder
from cmpc_cost_models.targets.device import Device
from cmpc_cost_models.timing.settings import MeasureSettings

__all__ = ["make_meter"]


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
