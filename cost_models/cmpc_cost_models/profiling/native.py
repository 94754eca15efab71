"""Compile ``native.c`` for this machine and load it: the stopwatch and the peak loops.

It takes a fifth of a second, so nothing is kept. The C compiler is the one that links networks.
"""

import ctypes
import tempfile
from importlib.resources import files
from pathlib import Path

from cmpc_cost_models.compiling.building import build
from cmpc_cost_models.targets.compilers import require_linker
from cmpc_cost_models.targets.target import Target

__all__ = ["NativeLibrary"]

SOURCE_NAME = "native.c"


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
    compiler = require_linker(target)
    options = [
        "-O3",
        "-march=native",
        "-ffp-contract=fast",
        "-shared",
        "-fPIC",
        f"-DLANES={target.vector_floats}",
    ]
    source = Path(str(files("cmpc_cost_models") / "profiling" / SOURCE_NAME))
    build(compiler, source, library, options)


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
