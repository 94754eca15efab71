"""What went on in the machine while something was timed? The evidence behind a verdict.

Two snapshots, one before and one after; what lies between tells whether the timed threads had
their processors to themselves. ``/proc/<pid>/task/*/schedstat`` counts in nanoseconds how long a
thread was ready to run and had to wait (Documentation/scheduler/sched-stats.rst of Linux), which
shows a rival on the same core at once; ``/proc/stat`` counts in ticks of 10 ms, and tells of the
hypervisor too. Where the system does not tell a fact, it is ``None``.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cmpc_cost_models.records.evidence import Conditions
from cmpc_cost_models.targets.system_calls import ticks_per_second
from cmpc_cost_models.targets.system_files import OWN_FILES, SystemFiles

__all__ = [
    "Snapshot",
    "conditions_between",
    "conditions_together",
    "take_snapshot",
]

STAT = "/proc/stat"
LOAD = "/proc/loadavg"
TASK_WAITS = "/proc/self/task/*/schedstat"
TASK_STATES = "/proc/self/task/*/status"
TEMPERATURES = "/sys/class/thermal/thermal_zone*/temp"
CLOCK = "/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq"
GOVERNOR = "/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"
TICKS_PER_SECOND = ticks_per_second()
IDLE_FIELDS = (3, 4)  # idle and iowait in a line of /proc/stat
STEAL_FIELD = 7


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """The machine at one moment, seen from the thread that times.

    Attributes:
        clock_s: Of a clock that never jumps.
        num_cpus: How many processors are watched, at least one.
        thread_s: Processor time of the calling thread; ``None`` where it also waits to be asked,
            as it does on a device.
        waited_s: For each thread, how long it was ready and had no processor.
        busy_s, stolen_s: Of all watched processors: in use, and given to others by a hypervisor.
        has_counters: Whether the system counted these two at all.
        process_s: Processor time of the whole process.
        voluntary, involuntary: Context switches of the whole process.
        num_runnable: Threads of the whole system that run or could, this one among them.
        clock_mhz, temperature_c: The slowest watched processor, the hottest sensor.
    """

    clock_s: float
    num_cpus: int
    thread_s: float | None
    process_s: float
    waited_s: dict[str, float] | None
    busy_s: float
    stolen_s: float
    has_counters: bool
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
    texts = files.read(
        STAT,
        LOAD,
        TASK_WAITS,
        TASK_STATES,
        TEMPERATURES,
        *(CLOCK.format(cpu=cpu) for cpu in cpus),
        GOVERNOR.format(cpu=cpus[0] if cpus else 0),
    )
    is_here = files is OWN_FILES
    tasks = _tasks(texts)
    lines = _processor_lines(texts.get(STAT, ""), cpus)
    load = texts.get(LOAD, "").split()
    return Snapshot(
        clock_s=time.perf_counter(),
        num_cpus=max(1, len(cpus)),
        thread_s=time.thread_time() if is_here else None,
        process_s=time.process_time() if is_here else sum(ran for ran, _ in tasks.values()),
        waited_s={task: waited for task, (_, waited) in tasks.items()} or None,
        busy_s=sum(sum(line[:STEAL_FIELD]) - sum(line[i] for i in IDLE_FIELDS) for line in lines),
        stolen_s=sum(line[STEAL_FIELD] for line in lines),
        has_counters=bool(lines),
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
    available = wall * after.num_cpus
    own = after.process_s - before.process_s
    tick_s = 1 / TICKS_PER_SECOND
    others = max(0.0, after.busy_s - before.busy_s - own - tick_s)  # ticks round up
    is_counted = before.has_counters and after.has_counters
    return Conditions(
        wall_s=wall,
        cpu_share=_ran(before.thread_s, after.thread_s, wall),
        waiting_share=_longest_wait(before.waited_s, after.waited_s, wall),
        others_share=others / available if is_counted else None,
        stolen_share=(after.stolen_s - before.stolen_s) / available if is_counted else None,
        voluntary_switches=after.voluntary - before.voluntary,
        involuntary_switches=after.involuntary - before.involuntary,
        num_runnable=(before.num_runnable, after.num_runnable),
        load_average=(before.load_average, after.load_average),
        governor=(before.governor, after.governor),
        clock_mhz=(before.clock_mhz, after.clock_mhz),
        temperature_c=(before.temperature_c, after.temperature_c),
    )


def conditions_together(parts: Sequence[Conditions]) -> Conditions:
    """Return the conditions over several stretches of time, at least one."""
    wall = sum(part.wall_s for part in parts)

    def mean(shares: Iterable[float | None]) -> float | None:
        known = list(zip(shares, parts, strict=True))
        if any(share is None for share, _ in known):
            return None
        return sum((share or 0.0) * part.wall_s for share, part in known) / wall

    first, last = parts[0], parts[-1]
    return Conditions(
        wall_s=wall,
        cpu_share=mean(part.cpu_share for part in parts),
        waiting_share=mean(part.waiting_share for part in parts),
        others_share=mean(part.others_share for part in parts),
        stolen_share=mean(part.stolen_share for part in parts),
        voluntary_switches=sum(part.voluntary_switches for part in parts),
        involuntary_switches=sum(part.involuntary_switches for part in parts),
        num_runnable=(first.num_runnable[0], last.num_runnable[1]),
        load_average=(first.load_average[0], last.load_average[1]),
        governor=(first.governor[0], last.governor[1]),
        clock_mhz=(first.clock_mhz[0], last.clock_mhz[1]),
        temperature_c=(first.temperature_c[0], last.temperature_c[1]),
    )


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


def _processor_lines(stat: str, cpus: Iterable[int]) -> list[list[float]]:
    """Return the counters of /proc/stat for ``cpus``, in seconds."""
    wanted = {f"cpu{cpu}" for cpu in cpus}
    return [
        [int(count) / TICKS_PER_SECOND for count in line[1 : STEAL_FIELD + 2]]
        for line in map(str.split, stat.splitlines())
        if line and line[0] in wanted and len(line) > STEAL_FIELD + 1
    ]


def _governor(texts: Mapping[str, str]) -> str | None:
    return next(
        (t.strip() for path, t in texts.items() if path.endswith("/scaling_governor")), None
    )


def _numbers(texts: Mapping[str, str], ending: str, *, scale: float) -> list[float]:
    found = (text.strip() for path, text in texts.items() if path.endswith(ending))
    return [int(text) / scale for text in found if text.lstrip("-").isdigit()]
