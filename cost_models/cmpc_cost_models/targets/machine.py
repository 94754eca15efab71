"""On which machine was this measured, with which versions? Evidence that goes with each cost.

Read from /proc and package metadata only: nothing heavy is imported and nothing is executed.
"""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cmpc_cost_models.records.evidence import Fingerprint
from cmpc_cost_models.targets.fingerprint import features_of, fingerprint_of
from cmpc_cost_models.targets.system_calls import allowed_cpus, architecture, load_average
from cmpc_cost_models.targets.system_files import OWN_FILES

__all__ = [
    "core_of",
    "cpu_flags",
    "cpu_model",
    "describe_machine",
    "describe_versions",
    "own_fingerprint",
    "rank_cpus",
    "stolen_share",
]

PACKAGES = ("apache-tvm", "apache-tvm-ffi", "onnx", "onnxruntime", "numpy")
CPUS = Path("/sys/devices/system/cpu")
STEAL_FIELD = 7  # of a "cpu" line in /proc/stat, see proc_stat(5)


def own_fingerprint() -> Fingerprint:
    """Return which machine this is, as far as times depend on it."""
    return fingerprint_of(OWN_FILES, architecture=architecture())


def describe_machine() -> dict[str, Any]:
    """Return the facts of this machine that move a latency; ``None`` where it does not tell."""
    return own_fingerprint().to_json() | {"load_average": load_average()}


def describe_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that make or run compiled networks."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def stolen_share() -> float | None:
    """Return the share of time since boot that the hypervisor gave to others, of time in use."""
    fields = (_read(Path("/proc/stat")) or "").partition("\n")[0].split()[1:9]
    if len(fields) <= STEAL_FIELD:
        return None
    user, nice, system, _idle, _wait, irq, soft_irq, steal = map(int, fields)
    in_use = user + nice + system + irq + soft_irq + steal
    return steal / in_use if in_use else 0.0


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


def cpu_model() -> str:
    """Return the processor's name, or its architecture where the system gives no name."""
    return own_fingerprint().cpu_model or architecture()


@cache
def cpu_flags() -> frozenset[str]:
    """Return the instruction-set flags that the operating system reports."""
    return features_of(OWN_FILES)


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
