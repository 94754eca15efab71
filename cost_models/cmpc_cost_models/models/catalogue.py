"""Which cost models are there, and who tells what a network costs on a target?

this machine     measured    timed here
rpc://...        measured    timed there
none             roofline    compiled and checked here, latency predicted
"""

from collections.abc import Callable

from cmpc_base.registry import Registry
from cmpc_cost_models.compiling.options import CompileOrder
from cmpc_cost_models.models.base import CostModel
from cmpc_cost_models.models.checked import CheckedModel
from cmpc_cost_models.sites.process import site_process
from cmpc_cost_models.targets.device import Device
from cmpc_cost_models.targets.toolchain import find_toolchain
from cmpc_cost_models.timing.settings import MeasureSettings

__all__ = ["COST_MODELS", "PREDICTORS", "make_meter"]

PREDICTORS: Registry[Callable[..., CostModel]] = Registry(
    "predictor", {"roofline": "cmpc_cost_models.models.roofline:RooflineModel"}
)
"""Made with a target; they run nothing."""

COST_MODELS: Registry[Callable[..., CostModel]] = PREDICTORS.extended(
    {
        "counted": "cmpc_cost_models.models.counted:CountedModel",
        "measured": "cmpc_cost_models.models.measured:MeasuredModel",
    }
)


def make_meter(
    order: CompileOrder,
    device: Device | None = None,
    settings: MeasureSettings | None = None,
) -> CostModel:
    """Return what tells latencies on ``device``, a context manager, not yet entered.

    Args:
        order: For which target and how many threads networks are compiled, and where to.
        device: Where to run; ``None`` is this machine if it can run the target, and nowhere else.
        settings: How to measure, where something is.

    Raises:
        BadArgument: the device can't be that of the target, or nothing compiles for it here.
    """
    target = order.target
    device = device or Device.default_for(target)
    toolchain = find_toolchain(target, cache_dir=order.cache_dir)
    toolchain.require_compiler()
    if device.kind == "none":
        return CheckedModel(PREDICTORS.load("roofline")(target), order, toolchain)
    settings = settings or MeasureSettings()
    site = site_process(device, target, num_threads=order.num_threads, cpus=settings.cpus)
    return COST_MODELS.load("measured")(site, order, settings)
