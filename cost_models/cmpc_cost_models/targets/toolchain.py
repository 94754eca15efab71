"""What of a target's tools is on this machine, and how does one get the rest?

    C++ compiler      links the network, compiles the native program        needed to compile
    runtime           TVM's two libraries for that processor                needed to run anywhere
    emulator          qemu-user runs the program here                       needed to check it here

Time under an emulator says nothing about a processor: it is never measured, and never told.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.targets.compilers import FindProgram, compiler_advice, linker_for
from cmpc_cost_models.targets.runtimes import find_runtime, runtime_advice
from cmpc_cost_models.targets.target import Target

__all__ = ["Toolchain", "find_toolchain"]

EMULATOR_PACKAGE = "qemu-user-static"
CROSS_ROOT = Path("/usr")


@dataclass(frozen=True, kw_only=True, slots=True)
class Toolchain:
    """What was found for one target.

    Attributes:
        compiler: The C++ compiler's path, or ``None``.
        runtime: The folder with the two libraries; ``None`` if there is none. For a target of this
            machine's own architecture those of the installed packages serve, and it is unused.
        emulator: The words before a program's name that run it here; empty where it runs as it is;
            ``None`` where it can't run.
        lacking: What is missing, each with how to get it.
    """

    target: Target
    compiler: str | None
    runtime: Path | None
    emulator: tuple[str, ...] | None
    lacking: tuple[str, ...]

    @property
    def can_execute(self) -> bool:
        """Whether a program for the target can be built and run here."""
        return not self.lacking

    def require_compiler(self) -> None:
        """Refuse to go on where nothing can be compiled.

        Raises:
            BadArgument: there is no compiler for the target.
        """
        if self.compiler is None:
            raise BadArgument(f"compiling for {self.target.name} must be possible; {self._advice}")

    @property
    def _advice(self) -> str:
        return "; ".join(self.lacking)

    def to_json(self) -> dict[str, Any]:
        return {
            "compiler": self.compiler,
            "runtime": None if self.runtime is None else str(self.runtime),
            "emulator": None if self.emulator is None else list(self.emulator),
            "can_execute": self.can_execute,
            "lacking": list(self.lacking),
        }


def find_toolchain(
    target: Target, *, cache_dir: Path, find_program: FindProgram = shutil.which
) -> Toolchain:
    """Look for everything that ``target`` needs; nothing is fetched."""
    compiler = linker_for(target, find_program)
    emulator = _find_emulator(target, find_program)
    is_own = target.is_of_this_system
    runtime = None if is_own else find_runtime(target, cache_dir=cache_dir)
    lacking = []
    if compiler is None:
        lacking.append(compiler_advice(target))
    if runtime is None and not is_own:
        lacking.append(runtime_advice(target))
    if emulator is None:
        lacking.append(_emulator_advice(target))
    return Toolchain(
        target=target,
        compiler=compiler,
        runtime=runtime,
        emulator=emulator,
        lacking=tuple(lacking),
    )


def _find_emulator(target: Target, find_program: FindProgram) -> tuple[str, ...] | None:
    if target.runs_here:
        return ()
    names = (f"qemu-{target.architecture}-static", f"qemu-{target.architecture}")
    found = next(filter(None, map(find_program, names)), None)
    if found is None or not target.emulator_cpu:
        return None
    return (found, "-cpu", target.emulator_cpu, "-L", str(CROSS_ROOT / target.triple))


def _emulator_advice(target: Target) -> str:
    if not target.emulator_cpu:
        return f"{target.why_not_here()}, and it is not emulated here"
    return f"no emulator for {target.architecture} (on Debian: apt-get install {EMULATOR_PACKAGE})"
