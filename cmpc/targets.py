"""Which target does a name mean? cmpc's own, or one of the user's settings file.

cmpc.toml   [targets.my-board]
            like = "cortex-a72"
            clock_ghz = 1.8
"""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmpc.errors import BadSettings

if TYPE_CHECKING:
    from cmpc_cost_models.models.catalogue import AnyMeter
    from cmpc_cost_models.targets.table import TargetTable
    from cmpc_cost_models.targets.target import Target

__all__ = [
    "DEFAULT_FILE",
    "SCHEDULES",
    "TARGETS_TABLE",
    "make_meter",
    "named_target",
    "note_on_costs",
    "own_targets",
    "read_toml",
]

TARGETS_TABLE = "targets"
DEFAULT_FILE = "cmpc.toml"
SCHEDULES = "schedules"  # in the cache: what `cmpc tune` found


def named_target(name: str, toml_path: Path | None) -> "Target":
    """Return the target called ``name``, of cmpc or of the settings file.

    Raises:
        UnknownTarget: there is none of this name.
        BadArgument, BadSettings: the file describes a target wrongly.
    """
    from cmpc_cost_models.targets.table import find_target

    return find_target(name, own_targets(toml_path))


def own_targets(toml_path: Path | None) -> "TargetTable":
    """Return the targets of the settings file; without one, of ./cmpc.toml if there is one."""
    from cmpc_cost_models.targets.table import read_targets

    path, document = read_toml(toml_path)
    tables = document.get(TARGETS_TABLE, {})
    if not isinstance(tables, dict):
        raise BadSettings(f"[{TARGETS_TABLE}] in {path} must be a table, got {tables!r}")
    return read_targets(tables, origin=str(path))


def read_toml(toml_path: Path | None) -> tuple[Path, dict[str, Any]]:
    """Return the settings file and what it says; nothing where there is no ./cmpc.toml.

    Raises:
        BadSettings: it is no TOML.
    """
    path = toml_path or Path(DEFAULT_FILE)
    if toml_path is None and not path.exists():
        return path, {}
    try:
        # Some editors write a byte order mark, which is not a part of the text.
        return path, tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path} must be a TOML file, and is not: {error}") from None


def make_meter(
    target: "Target",
    device: str | None,
    *,
    compiled_dir: Path,
    cache_dir: Path,
    is_brief: bool = False,
) -> "AnyMeter":
    """Return the meter of a device by its name; see ``cmpc_cost_models.models.catalogue``.

    ``is_brief`` measures as one does where there are many candidates.

    Raises:
        BadArgument: it is no device, can't run the target, or nothing compiles for it here.
    """
    from cmpc_cost_models.models import catalogue as meters
    from cmpc_cost_models.targets.device import Device
    from cmpc_cost_models.timing.settings import MeasureSettings

    return meters.make_meter(
        target,
        None if device is None else Device.named(device),
        cache_dir=compiled_dir,
        runtime_dir=cache_dir,
        schedules_dir=cache_dir / SCHEDULES,
        settings=MeasureSettings.brief() if is_brief else None,
    )


def note_on_costs(meter: "AnyMeter") -> str | None:
    """Say what a user must know of a meter's latencies before there are any; None for a timer."""
    from cmpc_cost_models.models.predicted import PredictedMeter
    from cmpc_cost_models.models.remote import RemoteMeter

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
