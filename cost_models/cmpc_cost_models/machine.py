"""On which machine was this measured, with which versions? Evidence that goes with each cost.

Read from /proc and package metadata only: nothing heavy is imported and nothing is executed.
"""

import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["cpu_flags", "cpu_model", "describe_machine", "describe_versions", "load_average"]

PACKAGES = ("apache-tvm", "apache-tvm-ffi", "onnx", "onnxruntime", "numpy")
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def describe_machine() -> dict[str, Any]:
    """Return the facts of this machine that move a latency; ``None`` where it does not tell."""
    return {
        "cpu_model": cpu_model(),
        "architecture": platform.machine(),
        "num_cores": os.cpu_count(),
        "governor": _read(GOVERNOR),
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
