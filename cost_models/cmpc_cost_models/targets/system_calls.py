"""What Python's system calls say and do here, each with an answer where only Linux has one.

    what               Linux                          elsewhere (macOS)
    allowed_cpus       those of the process' set      all of the machine
    running_on         keeps the thread to them       does nothing: ``can_pin`` is False
    memory_bytes       told                           None where it is not
    /proc, /sys        ``system_files``               nothing is read, so nobody knows

No other module asks for any of it. Whoever times says what could not be observed; `cmpc doctor`
says beforehand what that means (``lacking_here``).
"""

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "allowed_cpus",
    "architecture",
    "can_pin",
    "lacking_here",
    "load_average",
    "memory_bytes",
    "num_cpus",
    "running_on",
    "runs_code_for",
    "system_name",
    "ticks_per_second",
]

PROC = Path("/proc/stat")
USUAL_TICKS_PER_SECOND = 100


def architecture() -> str:
    """Return the processor's architecture as LLVM calls it: x86_64, aarch64, arm, riscv64."""
    machine = platform.machine()
    if machine.startswith("armv"):
        return "arm"
    return {"arm64": "aarch64", "AMD64": "x86_64"}.get(machine, machine)


def system_name() -> str:
    """Return "Linux", "Darwin" of macOS, or whatever the system calls itself."""
    return platform.system()


def runs_code_for(triple: str) -> bool:
    """Whether this system and its processor's architecture are those of LLVM's ``triple``.

    Its own compiler makes such code, and its own copy of TVM's runtime loads it.
    """
    of_triple, _, system = triple.partition("-")
    return of_triple == architecture() and system_name().lower() in system


def num_cpus() -> int:
    """Return how many processors the process may use, at least one."""
    count = getattr(os, "process_cpu_count", os.cpu_count)  # the first is of Python 3.13
    return count() or 1


def allowed_cpus() -> frozenset[int]:
    """Return the processors that this process may use; all where the system keeps no such set."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(num_cpus()))


def can_pin() -> bool:
    """Whether a thread can be kept to a processor."""
    return hasattr(os, "sched_setaffinity") and hasattr(os, "sched_getaffinity")


@contextmanager
def running_on(cpus: Sequence[int]) -> Iterator[None]:
    """Let the calling thread, and threads that it starts meanwhile, run on ``cpus`` only.

    Afterwards the calling thread is as free as before; threads it started stay where they are.
    """
    if not can_pin():
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def load_average() -> float | None:
    """Return the mean number of runnable processes of the last minute."""
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return None


def memory_bytes() -> int | None:
    """Return how much memory the machine has; ``None`` where the system doesn't tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):
        return None


def ticks_per_second() -> int:
    """Return in what parts of a second the system counts processor time."""
    try:
        return os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return USUAL_TICKS_PER_SECOND


def lacking_here() -> tuple[str, ...]:
    """Say what of Linux this system lacks, each with what that means; empty on Linux."""
    lacking = []
    if not can_pin():
        lacking.append("threads can't be kept to a processor, so latencies vary more")
    if not os.access(PROC, os.R_OK):
        lacking.append(
            "there is no /proc: nobody sees what else runs, and the target `host` is not known"
        )
    if system_name() != "Linux":
        lacking.append("bundles and what compiles them are for Linux")
    return tuple(lacking)
