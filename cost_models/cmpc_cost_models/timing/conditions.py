"""What went on in the machine while something was timed? The evidence behind a verdict.

Two snapshots, one before and one after; what lies between tells whether the timed threads had
their processors to themselves. ``/proc/<pid>/task/*/schedstat`` counts in nanoseconds how long a
thread was ready to run and had to wait (Documentation/scheduler/sched-stats.rst of Linux), which
shows a rival on the same core at once; ``/proc/stat`` counts in ticks of 10 ms, and tells of the
hypervisor too. Where the system does not tell a fact, it is ``None``.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmpc_cost_models.records.evidence import Conditions
from cmpc_cost_models.targets.machine import (
    STAT,
    TICKS_PER_SECOND,
    ProcessorTimes,
    processor_times,
)
from cmpc_cost_models.targets.system_files import OWN_FILES, SystemFiles

__all__ = [
    "Snapshot",
    "conditions_between",
    "conditions_together",
    "take_snapshot",
]

LOAD = "/proc/loadavg"
TASK_WAITS = "/proc/self/task/*/schedstat"
TASK_STATES = "/proc/self/task/*/status"
TEMPERATURES = "/sys/class/thermal/thermal_zone*/temp"
CLOCK = "/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq"
GOVERNOR = "/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"
TICK_S = 1 / TICKS_PER_SECOND
SHARES = ("cpu_share", "waiting_share", "others_share", "stolen_share")
PAIRS = ("num_runnable", "load_average", "governor", "clock_mhz", "temperature_c")


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """The machine at one moment, seen from the thread that times.

    Attributes:
        clock_s: Of a clock that never jumps.
        num_cpus: How many processors are watched, at least one.
        thread_s: Processor time of the calling thread; ``None`` where it also waits to be asked,
            as it does on a device.
        waited_s: For each thread, how long it was ready and had no processor.
        processors: What the system counted for all watched processors.
        process_s: Processor time of the whole process.
        voluntary, involuntary: Context switches of the whole process.
        num_runnable: Threads of the whole system that run or could, this one among them.
        clock_mhz, temperature_c: The slowest watched processor, the hottest sensor.
    """

    clock_s: float
    num_cpus: int
    thread_s: float | None
    process_s: float | None
    waited_s: dict[str, float] | None
    processors: ProcessorTimes | None
    voluntary: int
    involuntary: int
    num_runnable: int | None
    load_average: float | None
    governor: str | None
    clock_mhz: float | None
    temperature_c: float | None


def take_snapshot(cpus: Sequence[int], files: SystemFiles = OWN_FILES) -> Snapshot:
    """Return the state of a machine now, with ``cpus`` watched.

    Args:
        files: Those of the machine; of this one by default.
    """
    watched = [GOVERNOR.format(cpu=[*cpus, 0][0]), *(CLOCK.format(cpu=cpu) for cpu in cpus)]
    texts = files.read(STAT, LOAD, TASK_WAITS, TASK_STATES, TEMPERATURES, *watched)
    tasks, load, is_here = _tasks(texts), texts.get(LOAD, "").split(), files is OWN_FILES
    ran_s = sum(ran for ran, _ in tasks.values()) if tasks else None
    return Snapshot(
        clock_s=time.perf_counter(),
        num_cpus=max(1, len(cpus)),
        thread_s=time.thread_time() if is_here else None,
        process_s=time.process_time() if is_here else ran_s,
        waited_s={task: waited for task, (_, waited) in tasks.items()} or None,
        processors=processor_times(texts, [f"cpu{cpu}" for cpu in cpus]),
        voluntary=_switches(texts, "voluntary_ctxt_switches"),
        involuntary=_switches(texts, "nonvoluntary_ctxt_switches"),
        num_runnable=int(load[3].partition("/")[0]) if len(load) > 3 else None,
        load_average=float(load[0]) if load else None,
        governor=_governor(texts),
        clock_mhz=min(_numbers(texts, "/scaling_cur_freq", scale=1e3), default=None),
        temperature_c=max(_numbers(texts, "/temp", scale=1e3), default=None),
    )


def conditions_between(before: Snapshot, after: Snapshot) -> Conditions:
    """Return what happened from one snapshot to the other on the watched processors."""
    wall = after.clock_s - before.clock_s
    pairs: dict[str, Any] = {one: (getattr(before, one), getattr(after, one)) for one in PAIRS}
    others_s, stolen_s = _others_and_stolen_s(before, after)
    available_s = wall * after.num_cpus
    return Conditions(
        wall_s=wall,
        cpu_share=_ran(before.thread_s, after.thread_s, wall),
        waiting_share=_longest_wait(before.waited_s, after.waited_s, wall),
        others_share=None if others_s is None else others_s / available_s,
        stolen_share=None if stolen_s is None else stolen_s / available_s,
        voluntary_switches=after.voluntary - before.voluntary,
        involuntary_switches=after.involuntary - before.involuntary,
        **pairs,
    )


def conditions_together(parts: Sequence[Conditions]) -> Conditions:
    """Return the conditions over several stretches of time, at least one."""
    wall = sum(part.wall_s for part in parts)

    def mean(name: str) -> float | None:
        shares = [getattr(part, name) for part in parts]
        if None in shares:
            return None
        return float(np.average(shares, weights=[part.wall_s for part in parts]))

    shares: dict[str, Any] = {name: mean(name) for name in SHARES}
    pairs = {name: (getattr(parts[0], name)[0], getattr(parts[-1], name)[1]) for name in PAIRS}
    return Conditions(
        wall_s=wall,
        voluntary_switches=sum(part.voluntary_switches for part in parts),
        involuntary_switches=sum(part.involuntary_switches for part in parts),
        **shares | pairs,
    )


def _others_and_stolen_s(before: Snapshot, after: Snapshot) -> tuple[float | None, float | None]:
    """Return how long others used the watched processors, and how long a hypervisor took them."""
    first, last = before.processors, after.processors
    if first is None or last is None:
        return None, None
    stolen_s = last.stolen_s - first.stolen_s
    if before.process_s is None or after.process_s is None:
        return None, stolen_s  # whatever ran may have been the timed process itself
    own_s = after.process_s - before.process_s
    return max(0.0, last.busy_s - first.busy_s - own_s - TICK_S), stolen_s  # ticks round up


def _ran(before_s: float | None, after_s: float | None, wall_s: float) -> float | None:
    return None if before_s is None or after_s is None else (after_s - before_s) / wall_s


def _longest_wait(
    before: Mapping[str, float] | None, after: Mapping[str, float] | None, wall_s: float
) -> float | None:
    if before is None or after is None:
        return None
    return max(waited - before.get(task, 0.0) for task, waited in after.items()) / wall_s


def _tasks(texts: Mapping[str, str]) -> dict[str, tuple[float, float]]:
    """Return for each thread of the process how long it ran, and how long it waited to, in s."""
    lines = {path: text.split() for path, text in texts.items() if path.endswith("/schedstat")}
    return {
        path: (int(numbers[0]) / 1e9, int(numbers[1]) / 1e9)
        for path, numbers in lines.items()
        if len(numbers) > 1
    }


def _switches(texts: Mapping[str, str], kind: str) -> int:
    """Return the context switches of one kind, of all threads of the process."""
    lines = (
        line
        for path, text in texts.items()
        if path.endswith("/status")
        for line in text.splitlines()
    )
    counts = (line.partition(":") for line in lines)
    return sum(int(count) for name, _, count in counts if name == kind)


def _governor(texts: Mapping[str, str]) -> str | None:
    return next(
        (t.strip() for path, t in texts.items() if path.endswith("/scaling_governor")), None
    )


def _numbers(texts: Mapping[str, str], ending: str, *, scale: float) -> list[float]:
    found = (text.strip() for path, text in texts.items() if path.endswith(ending))
    return [int(text) / scale for text in found if text.lstrip("-").isdigit()]
