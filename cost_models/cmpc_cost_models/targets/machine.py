"""On which machine was this measured, with which versions? Evidence that goes with each cost.

Read from /proc and package metadata only: nothing heavy is imported and nothing is executed.
"""

import platform
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from cmpc_cost_models.records.evidence import Fingerprint
from cmpc_cost_models.targets.fingerprint import features_of, fingerprint_of
from cmpc_cost_models.targets.system_calls import (
    allowed_cpus,
    architecture,
    load_average,
    ticks_per_second,
)
from cmpc_cost_models.targets.system_files import OWN_FILES, read_line

__all__ = [
    "STAT",
    "TICKS_PER_SECOND",
    "ProcessorTimes",
    "core_of",
    "cpu_flags",
    "cpu_model",
    "describe_machine",
    "describe_versions",
    "own_fingerprint",
    "processor_times",
    "rank_cpus",
    "stolen_share",
]

PACKAGES = ("apache-tvm", "apache-tvm-ffi", "onnx", "onnxruntime", "numpy")
STAT = "/proc/stat"
SIBLINGS = "/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
IDLE_FIELDS = (3, 4)  # idle and iowait of a "cpu" line in /proc/stat, see proc_stat(5)
STEAL_FIELD = 7
TICKS_PER_SECOND = ticks_per_second()


def own_fingerprint() -> Fingerprint:
    """Return which machine this is, as far as times depend on it."""
    return fingerprint_of(OWN_FILES, architecture=architecture())


def describe_machine() -> dict[str, Any]:
    """Return the facts of this machine that move a latency; ``None`` where it does not tell."""
    return own_fingerprint().to_json() | {"load_average": load_average()}


def describe_versions(*more: str) -> dict[str, str]:
    """Return the versions of Python, of what makes or runs compiled networks, and of ``more``.

    A package that is not installed has none.
    """
    found = {"python": platform.python_version()}
    for package in (*PACKAGES, *more):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def stolen_share() -> float | None:
    """Return the share of time since boot that the hypervisor gave to others, of time in use."""
    times = processor_times(OWN_FILES.read(STAT), ["cpu"])
    return None if times is None else times.stolen_s / max(times.busy_s + times.stolen_s, 1.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessorTimes:
    """Of some processors together: in use, and given to others by a hypervisor."""

    busy_s: float
    stolen_s: float


def processor_times(texts: Mapping[str, str], names: Collection[str]) -> ProcessorTimes | None:
    """Return what a system counted since it booted; ``None`` where it doesn't tell.

    Args:
        texts: Its files, ``STAT`` among them.
        names: Of lines in there: ``cpu3`` for a processor, ``cpu`` for all.
    """
    lines = [
        [int(count) / TICKS_PER_SECOND for count in line[1 : STEAL_FIELD + 2]]
        for line in map(str.split, texts.get(STAT, "").splitlines())
        if line and line[0] in names and len(line) > STEAL_FIELD + 1
    ]
    if not lines:
        return None
    busy = (sum(line[:STEAL_FIELD]) - sum(line[one] for one in IDLE_FIELDS) for line in lines)
    return ProcessorTimes(busy_s=sum(busy), stolen_s=sum(line[STEAL_FIELD] for line in lines))


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
    return read_line(SIBLINGS.format(cpu=cpu)) or str(cpu)


def cpu_model() -> str:
    """Return the processor's name, or its architecture where the system gives no name."""
    return own_fingerprint().cpu_model or architecture()


@cache
def cpu_flags() -> frozenset[str]:
    """Return the instruction-set flags that the operating system reports."""
    return features_of(OWN_FILES)
