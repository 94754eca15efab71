"""The target called ``host``: this machine, as its flags, clock and caches tell it."""

import re
from collections.abc import Mapping
from dataclasses import replace

from cmpc_cost_models.errors import UnknownTarget
from cmpc_cost_models.targets.machine import cpu_flags, cpu_model
from cmpc_cost_models.targets.system_calls import architecture, num_cpus
from cmpc_cost_models.targets.system_files import OWN_FILES, read_line
from cmpc_cost_models.targets.target import CacheBytes, Target

__all__ = ["HOST", "host_target"]

HOST = "host"
X86_64_LEVELS = ("x86-64-v4", "x86-64-v3", "x86-64-v2")
CLOCK = "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"
CACHES = "/sys/devices/system/cpu/cpu0/cache/index*"
KHZ_IN_GHZ = 1e6


def host_target(built_in: Mapping[str, Target]) -> Target:
    """Return the best of the built-in targets that this machine runs, with its own facts.

    Raises:
        UnknownTarget: it runs none of them.
    """
    row = _level_of_host(built_in)
    return replace(
        row,
        name=HOST,
        num_cores=num_cpus(),
        clock_ghz=_clock_ghz() or row.clock_ghz,
        cache_bytes=_cache_bytes() or row.cache_bytes,
        source=f"this machine ({cpu_model()}): flags, cores, clock and caches as Linux tells them; "
        f"operations per cycle and bandwidth of {row.name}, {row.source}",
    )


def _level_of_host(table: Mapping[str, Target]) -> Target:
    if not cpu_flags():
        raise UnknownTarget(
            "`host` must be a machine that tells the features of its processor, as Linux does in "
            "/proc/cpuinfo, and this one tells none; name a target"
        )
    if architecture() == "aarch64":
        is_newer = cpu_flags() >= table["neoverse-n1"].required_flags
        return table["neoverse-n1" if is_newer else "cortex-a72"]
    for name in X86_64_LEVELS:
        if table[name].runs_here:
            return table[name]
    lacking = table["x86-64-v2"].required_flags - cpu_flags()
    raise UnknownTarget(
        "`host` must be an aarch64 or an x86-64-v2 processor, "
        f"got {architecture()} without {sorted(lacking)}; name a target"
    )


def _clock_ghz() -> float | None:
    """Return the highest clock that Linux tells, or the nominal one in the processor's name."""
    if (told := read_line(CLOCK)) is not None:
        return int(told) / KHZ_IN_GHZ
    found = re.search(r"@ ([\d.]+)GHz", cpu_model())
    return float(found[1]) if found else None


def _cache_bytes() -> CacheBytes | None:
    """Return the sizes of the data caches; ``None`` where Linux doesn't tell."""
    sizes = {"l1": 0, "l2": 0, "l3": 0}
    texts = OWN_FILES.read(f"{CACHES}/type", f"{CACHES}/level", f"{CACHES}/size")
    for folder in sorted({path.rpartition("/")[0] for path in texts}):
        kind, level, size = (
            texts.get(f"{folder}/{name}", "").strip() for name in ("type", "level", "size")
        )
        if kind != "Instruction" and f"l{level}" in sizes and size.endswith("K"):
            sizes[f"l{level}"] = int(size[:-1]) * 1024
    return CacheBytes(**sizes) if sizes["l1"] else None
