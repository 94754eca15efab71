"""Compile the C and C++ of a network and of what goes with it: programs, and what watches them."""

import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from cmpc_cost_models.errors import BadArgument, CompileFailed

__all__ = ["build", "package_folder"]

LIMIT_SECONDS = 300
LONGEST_COMPLAINT = 600


def build(compiler: str, source: Path, output: Path, options: Sequence[str]) -> None:
    """Compile one source file into ``output``.

    Args:
        options: What the compiler is told; libraries come after the source, in this order.

    Raises:
        CompileFailed: the compiler refuses.
    """
    headers = package_folder("tvm_ffi") / "include"  # the same serve for every processor
    command = [compiler, f"-I{headers}", str(source), f"-o{output}", *options]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    if done.returncode:
        complaint = done.stderr[-LONGEST_COMPLAINT:]
        raise CompileFailed(f"{source.name} must compile with {compiler}: {complaint}")


def package_folder(package: str) -> Path:
    """Return where an installed package lies, without importing it.

    Raises:
        BadArgument: it is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise BadArgument(f"package {package} must be installed; install cmpc[compile]")
    return Path(spec.submodule_search_locations[0])
