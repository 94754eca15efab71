"""Which program links libraries for a target, and which compiles C++ for it?"""

import shutil
import subprocess
from collections.abc import Callable
from functools import cache

from cmpc_cost_models.errors import CompileFailed
from cmpc_cost_models.targets.target import Target

__all__ = [
    "FindProgram",
    "compiler_advice",
    "cxx_compiler_for",
    "describe_program",
    "linker_for",
    "require_linker",
]

CXX_COMPILERS = ("g++", "clang++", "c++")
C_COMPILERS = ("gcc", "clang", "cc")  # they link for this machine, too
VERSION_LIMIT_S = 20.0

FindProgram = Callable[[str], str | None]


def linker_for(target: Target, find_program: FindProgram = shutil.which) -> str | None:
    """Return what links a library for ``target``, a C compiler at least, or ``None``."""
    found = cxx_compiler_for(target, find_program)
    if found is not None or not target.is_of_this_system:
        return found
    return next(filter(None, map(find_program, C_COMPILERS)), None)


def require_linker(target: Target) -> str:
    """Return what links a library for ``target``.

    Raises:
        CompileFailed: there is nothing.
    """
    found = linker_for(target)
    if found is None:
        raise CompileFailed(f"linking must be possible; {compiler_advice(target)}")
    return found


def compiler_advice(target: Target) -> str:
    """Say how to get a compiler for ``target``."""
    package = "g++" if target.is_of_this_system else f"g++-{target.triple.replace('_', '-')}"
    return f"no C++ compiler for {target.triple} (on Debian: apt-get install {package})"


def cxx_compiler_for(target: Target, find_program: FindProgram = shutil.which) -> str | None:
    """Return the C++ compiler for ``target``, or ``None`` if there is none here."""
    if target.is_of_this_system:
        return next(filter(None, map(find_program, CXX_COMPILERS)), None)
    return find_program(f"{target.triple}-g++")


@cache
def describe_program(path: str | None) -> dict[str, str | None]:
    """Return the path of a program and the first line that it says of its version."""
    if path is None:
        return {"path": None, "version": None}
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=VERSION_LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return {"path": path, "version": None}
    return {"path": path, "version": done.stdout.partition("\n")[0] or None}
