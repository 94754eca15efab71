"""The facts about this machine that checks ask for; a test makes up a machine of its own."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cmpc_base.folders import nearest_existing
from cmpc_cost_models.targets.machine import own_fingerprint, stolen_share
from cmpc_cost_models.targets.system_calls import (
    allowed_cpus,
    architecture,
    lacking_here,
    load_average,
    memory_bytes,
    system_name,
)
from cmpc_cost_models.targets.table import find_target

__all__ = ["Machine"]

TVM_IMPORT_SECONDS = 120  # with torch installed it takes 3 to 6 s on a quiet machine
ASK_TVM = "import tvm; print(*tvm.target.codegen.llvm_get_targets())"


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
    memory_bytes: int | None
    llvm_targets: Callable[[], frozenset[str]]
    lacking_for: Callable[[str], tuple[str, ...]]
    clock_governor: str | None
    has_turbo: bool | None
    stolen_share: float | None
    load_average: float | None
    system: str
    lacking_here: tuple[str, ...]

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
            memory_bytes=memory_bytes(),
            llvm_targets=ask_llvm_targets,
            lacking_for=partial(ask_toolchain, cache_dir=cache_dir),
            clock_governor=fingerprint.governor,
            has_turbo=fingerprint.has_turbo,
            stolen_share=stolen_share(),
            load_average=load_average(),
            system=f"{system_name()} {architecture()}",
            lacking_here=lacking_here(),
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
