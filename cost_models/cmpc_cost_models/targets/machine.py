"""On which machine was this measured, with which versions? Evidence that goes with each cost.

Read from /proc and package metadata only: nothing heavy is imported and nothing is executed.
"""

import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = [
    "allowed_cpus",
    "core_of",
    "cpu_flags",
    "cpu_model",
    "describe_machine",
    "describe_versions",
    "governor",
    "has_turbo",
    "load_average",
    "rank_cpus",
    "stolen_share",
]

PACKAGES = ("apache-tvm", "apache-tvm-ffi", "onnx", "onnxruntime", "numpy")
CPUS = Path("/sys/devices/system/cpu")
STEAL_FIELD = 7  # of a "cpu" line in /proc/stat, see proc_stat(5)


def describe_machine() -> dict[str, Any]:
    """Return the facts of this machine that move a latency; ``None`` where it does not tell."""
    return {
        "cpu_model": cpu_model(),
        "architecture": platform.machine(),
        "num_cores": os.cpu_count(),
        "governor": governor(),
        "has_turbo": has_turbo(),
        "load_average": load_average(),
        "is_virtual": "hypervisor" in cpu_flags(),
        "kernel": platform.release(),
    }


def describe_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that make or run compiled networks."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def governor(cpu: int = 0) -> str | None:
    """Return what decides over a processor's clock; ``None`` where the system doesn't tell."""
    return _read(CPUS / f"cpu{cpu}" / "cpufreq" / "scaling_governor")


def has_turbo() -> bool | None:
    """Return whether clocks may rise for a while; ``None`` where the system doesn't tell."""
    if (boost := _read(CPUS / "cpufreq" / "boost")) is not None:
        return boost == "1"
    if (no_turbo := _read(CPUS / "intel_pstate" / "no_turbo")) is not None:
        return no_turbo == "0"
    return None


def stolen_share() -> float | None:
    """Return the share of time since boot that the hypervisor gave to others, of time in use."""
    fields = (_read(Path("/proc/stat")) or "").partition("\n")[0].split()[1:9]
    if len(fields) <= STEAL_FIELD:
        return None
    user, nice, system, _idle, _wait, irq, soft_irq, steal = map(int, fields)
    in_use = user + nice + system + irq + soft_irq + steal
    return steal / in_use if in_use else 0.0


def allowed_cpus() -> frozenset[int]:
    """Return the processors that this process may use; all where the system keeps no such set."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))  # macOS: nothing is ever pinned there


def rank_cpus() -> tuple[int, ...]:
    """Return the processors that this process may use, the best to pin threads to first.

    The last ones, since systems like to put their own work on the first; hardware threads that
    share a core only after all cores.
    """
    allowed = sorted(allowed_cpus(), reverse=True)
    cores = [core_of(cpu) for cpu in allowed]
    is_second = {cpu: cores[index] in cores[:index] for index, cpu in enumerate(allowed)}
    return tuple(sorted(allowed, key=is_second.__getitem__))


def core_of(cpu: int) -> str:
    """Name the core of a hardware thread; without a word from the system each is its own."""
    return _read(CPUS / f"cpu{cpu}" / "topology" / "thread_siblings_list") or str(cpu)


def load_average() -> float | None:
    """Return the mean number of runnable processes of the last minute."""
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def cpu_model() -> str:
    """Return the processor's name, or its architecture where the system gives no name."""
    info = _cpu_info()
    return info.get("model name") or info.get("CPU part") or platform.machine()


def cpu_flags() -> frozenset[str]:
    """Return the instruction-set flags that the operating system reports."""
    info = _cpu_info()
    return frozenset((info.get("flags") or info.get("Features") or "").split())


@cache
def _cpu_info() -> dict[str, str]:
    """Return the first processor's entry of /proc/cpuinfo; the others only repeat it."""
    first = (_read(Path("/proc/cpuinfo")) or "").split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
