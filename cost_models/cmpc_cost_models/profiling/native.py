"""Compile ``native.c`` for this machine and load it: the stopwatch and the peak loops.

It takes a fifth of a second, so nothing is kept. The C compiler is the one that links networks.
"""

import ctypes
import subprocess
import tempfile
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from cmpc_cost_models.errors import CompileFailed
from cmpc_cost_models.targets.compilers import linker_for
from cmpc_cost_models.targets.target import Target

__all__ = ["NativeLibrary"]

SOURCE_NAME = "native.c"
COMPILE_LIMIT_SECONDS = 60


class NativeLibrary:
    """The compiled ``native.c``; its functions are typed attributes of ``functions``.

    Raises:
        CompileFailed: there is no compiler, or it refuses.
    """

    def __init__(self, target: Target) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="cmpc-profile-")
        self.path = Path(self._folder.name) / "native.so"
        _compile(target, self.path)
        self.functions = ctypes.CDLL(str(self.path))
        _declare(self.functions)


def _compile(target: Target, library: Path) -> None:
    compiler = linker_for(target)
    if compiler is None:
        raise CompileFailed("profiling needs a C compiler and none was found; install gcc")
    spec = find_spec("tvm_ffi")
    assert spec is not None, "TVM is imported and tvm_ffi is part of it"
    assert spec.submodule_search_locations is not None
    command = [
        compiler,
        "-O3",
        "-march=native",
        "-ffp-contract=fast",
        "-shared",
        "-fPIC",
        f"-DLANES={target.vector_floats}",
        f"-I{Path(spec.submodule_search_locations[0]) / 'include'}",
        str(files("cmpc_cost_models") / "profiling" / SOURCE_NAME),
        f"-o{library}",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=COMPILE_LIMIT_SECONDS, check=False
    )
    if done.returncode:
        raise CompileFailed(f"{SOURCE_NAME} must compile with {compiler}: {done.stderr[-600:]}")


def _declare(functions: ctypes.CDLL) -> None:
    """Tell ctypes what the functions take and return."""
    size, pointer, seconds = ctypes.c_int64, ctypes.c_void_p, ctypes.c_double
    functions.stopwatch_start.argtypes = [pointer, size]
    functions.stopwatch_start.restype = None
    functions.stopwatch_count.restype = size
    functions.peak_flops_per_turn.restype = size
    functions.peak_multiply_add.argtypes = [size, ctypes.c_float]
    functions.peak_multiply_add.restype = seconds
    functions.peak_read.argtypes = [pointer, size, size]
    functions.peak_read.restype = seconds
    functions.peak_copy.argtypes = [pointer, pointer, size, size]
    functions.peak_copy.restype = seconds
