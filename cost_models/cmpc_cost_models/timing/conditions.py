"""What went on in the machine while something was timed? The evidence behind a verdict.

Two snapshots, one before and one after; what lies between tells whether the timed threads had
their processors to themselves. ``/proc/<pid>/task/*/schedstat`` counts in nanoseconds how long a
thread was ready to run and had to wait (Documentation/scheduler/sched-stats.rst of Linux), which
shows a rival on the same core at once; ``/proc/stat`` counts in ticks of 10 ms, and tells of the
hypervisor too. Where the system does not tell a fact, it is ``None``.
"""

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cmpc_cost_models.targets.machine import governor, load_average

__all__ = [
    "Conditions",
    "Snapshot",
    "conditions_between",
    "conditions_together",
    "take_snapshot",
]

TASKS = Path("/proc/self/task")
THERMAL = Path("/sys/class/thermal")
CPUS = Path("/sys/devices/system/cpu")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
IDLE_FIELDS = (3, 4)  # idle and iowait in a line of /proc/stat
STEAL_FIELD = 7


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """The machine at one moment, seen from the thread that times.

    Attributes:
        clock_s: Of a clock that never jumps.
        thread_s: Processor time of the calling thread.
        waited_s: For each thread, how long it was ready and had no processor; by thread id.
        busy_s, stolen_s: Of all watched processors: in use, and given to others by a hypervisor.
        process_s: Processor time of the whole process.
        voluntary, involuntary: Context switches of the whole process.
        num_runnable: Threads of the whole system that run or could, this one among them.
        clock_mhz, temperature_c: The slowest watched processor, the hottest sensor.
    """

    clock_s: float
    thread_s: float
    process_s: float
    waited_s: dict[int, float] | None
    busy_s: float
    stolen_s: float
    voluntary: int
    involuntary: int
    num_runnable: int | None
    load_average: float | None
    governor: str | None
    clock_mhz: float | None
    temperature_c: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """What happened between two snapshots; shares are of the wall time between them.

    Attributes:
        cpu_share: How much of the time the timing thread ran.
        waiting_share: How much of it the most unlucky thread was ready and had to wait.
        others_share: How much of the watched processors' time other processes used.
        stolen_share: How much of it a hypervisor gave to others.
    """

    wall_s: float
    cpu_share: float
    waiting_share: float | None = None
    others_share: float | None = None
    stolen_share: float | None = None
    voluntary_switches: int = 0
    involuntary_switches: int = 0
    num_runnable: tuple[int | None, int | None] = (None, None)
    load_average: tuple[float | None, float | None] = (None, None)
    governor: tuple[str | None, str | None] = (None, None)
    clock_mhz: tuple[float | None, float | None] = (None, None)
    temperature_c: tuple[float | None, float | None] = (None, None)

    def to_json(self) -> dict[str, Any]:
        """Return the conditions as JSON values; pairs are what was before and after."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Conditions":
        """Read what ``to_json`` wrote."""
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in document.items()
        }
        return cls(**fields)


def take_snapshot(cpus: Sequence[int]) -> Snapshot:
    """Return the state of the machine now, with ``cpus`` watched."""
    switches = [_switches(task) for task in _tasks()]
    lines = _processor_lines(cpus)
    return Snapshot(
        clock_s=time.perf_counter(),
        thread_s=time.thread_time(),
        process_s=time.process_time(),
        waited_s=_waited(),
        busy_s=sum(sum(line[:STEAL_FIELD]) - sum(line[i] for i in IDLE_FIELDS) for line in lines),
        stolen_s=sum(line[STEAL_FIELD] for line in lines),
        voluntary=sum(one for one, _ in switches),
        involuntary=sum(one for _, one in switches),
        num_runnable=_num_runnable(),
        load_average=load_average(),
        governor=governor(cpus[0]) if cpus else governor(),
        clock_mhz=_smallest(
            (CPUS / f"cpu{cpu}" / "cpufreq" / "scaling_cur_freq" for cpu in cpus), scale=1e3
        ),
        temperature_c=_largest(THERMAL.glob("thermal_zone*/temp"), scale=1e3),
    )


def conditions_between(before: Snapshot, after: Snapshot, *, num_cpus: int) -> Conditions:
    """Return what happened from one snapshot to the other on ``num_cpus`` watched processors."""
    wall = after.clock_s - before.clock_s
    available = wall * num_cpus
    own = after.process_s - before.process_s
    tick_s = 1 / TICKS_PER_SECOND
    others = max(0.0, after.busy_s - before.busy_s - own - tick_s)  # ticks round up
    return Conditions(
        wall_s=wall,
        cpu_share=(after.thread_s - before.thread_s) / wall,
        waiting_share=_longest_wait(before.waited_s, after.waited_s, wall),
        others_share=others / available,
        stolen_share=(after.stolen_s - before.stolen_s) / available,
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
        cpu_share=mean(part.cpu_share for part in parts) or 0.0,
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


def _longest_wait(
    before: dict[int, float] | None, after: dict[int, float] | None, wall_s: float
) -> float | None:
    if before is None or after is None:
        return None
    return max(waited - before.get(task, 0.0) for task, waited in after.items()) / wall_s


def _waited() -> dict[int, float] | None:
    try:
        return {
            int(task.name): int((task / "schedstat").read_text().split()[1]) / 1e9
            for task in _tasks()
        } or None
    except (OSError, IndexError, ValueError):
        return None


def _tasks() -> list[Path]:
    """Return the folders of this process's threads; none on a system without /proc."""
    return list(TASKS.iterdir()) if TASKS.is_dir() else []


def _switches(task: Path) -> tuple[int, int]:
    """Return the voluntary and the involuntary context switches of one thread."""
    try:
        lines = (task / "status").read_text().splitlines()
    except OSError:  # the thread has just ended
        return 0, 0
    counts = dict(line.split(":") for line in lines if "ctxt_switches" in line)
    return (
        int(counts.get("voluntary_ctxt_switches", 0)),
        int(counts.get("nonvoluntary_ctxt_switches", 0)),
    )


def _processor_lines(cpus: Iterable[int]) -> list[list[float]]:
    """Return the counters of /proc/stat for ``cpus``, in seconds."""
    wanted = {f"cpu{cpu}" for cpu in cpus}
    try:
        lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    except OSError:
        return []
    return [
        [int(count) / TICKS_PER_SECOND for count in line[1 : STEAL_FIELD + 2]]
        for line in lines
        if line and line[0] in wanted and len(line) > STEAL_FIELD + 1
    ]


def _num_runnable() -> int | None:
    try:
        return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
    except (OSError, IndexError, ValueError):
        return None


def _smallest(paths: Iterable[Path], *, scale: float) -> float | None:
    return min(_numbers(paths, scale), default=None)


def _largest(paths: Iterable[Path], *, scale: float) -> float | None:
    return max(_numbers(paths, scale), default=None)


def _numbers(paths: Iterable[Path], scale: float) -> list[float]:
    found = []
    for path in paths:
        try:
            found.append(int(path.read_text()) / scale)
        except (OSError, ValueError):
            continue
    return found
