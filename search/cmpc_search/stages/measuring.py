"""Who tells the latencies of a run? The meter of its device, with the caches where they are."""

from pathlib import Path

from cmpc_base.cache import Cache
from cmpc_cost_models import Target
from cmpc_cost_models.models import catalogue as meters
from cmpc_cost_models.models.catalogue import AnyMeter
from cmpc_cost_models.models.predicted import PredictedMeter
from cmpc_cost_models.models.remote import RemoteMeter
from cmpc_cost_models.targets.device import Device
from cmpc_cost_models.timing.settings import MeasureSettings

__all__ = ["make_meter", "note_on_costs"]


def make_meter(
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
        cache_dir=cache_dir,
        runtime_dir=cache_dir,
        schedules_dir=Cache(cache_dir).schedules,
        settings=MeasureSettings.brief() if is_brief else None,
    )


def note_on_costs(meter: AnyMeter) -> str | None:
    """Say what a user must know of a meter's latencies before there are any; None for a timer."""
    if isinstance(meter, RemoteMeter):
        return (
            f"Latencies are measured on {meter.device.name}, where nobody sees what else runs or "
            "how hot it is: only timings that disagree raise doubts."
        )
    if not isinstance(meter, PredictedMeter):
        return None
    target = meter.target
    note = (
        f"Latencies for {target.name} are PREDICTED, not measured: the roofline of the target's "
        f"table ({target.peak_gflops:g} GFLOP/s a core, {target.memory_gb_per_s:g} GB/s), summed "
        "over the fused kernels. `--device rpc://HOST:PORT` measures."
    )
    if not meter.lacking:
        runner = Path(meter.toolchain.emulator[0]).name if meter.toolchain.emulator else "here"
        return f"{note} Each candidate is run once ({runner}) for its answer, never for its time."
    lacking = "; ".join(meter.lacking)
    return f"{note} Candidates are compiled but NOT executed, so none is checked: {lacking}."
