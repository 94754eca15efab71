"""Give a bundle what runs it without Python: TVM's runtime libraries and a native program.

For this machine's architecture both come from the installed packages: the libraries themselves, and
the headers that the program (``native/runner.cc``) is compiled with. For another one the libraries
are those that ``targets.runtimes`` fetched; the headers are the same.
"""

import shutil
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from cmpc_cost_models.compiling.building import build, package_folder
from cmpc_cost_models.errors import BadArgument, CompileFailed
from cmpc_cost_models.targets.compilers import cxx_compiler_for
from cmpc_cost_models.targets.target import Target

__all__ = ["RUNNER_NAME", "build_runner", "copy_runtime"]

RUNNER_NAME = "run"
SOURCE_NAME = "runner.cc"
LIBRARIES = {"libtvm_runtime.so": "tvm", "libtvm_ffi.so": "tvm_ffi"}


def copy_runtime(target: Target, bundle: Path, runtime_folder: Path | None) -> None:
    """Copy the runtime libraries for ``target`` to ``bundle``/lib.

    Raises:
        BadArgument: there are none for this target.
    """
    if runtime_folder is None and not target.is_of_this_system:
        raise BadArgument(
            f"a bundle for {target.name} needs {' and '.join(LIBRARIES)} for "
            f"{target.architecture} from that platform's apache-tvm and apache-tvm-ffi; see "
            "`cmpc targets`"
        )
    (bundle / "lib").mkdir()
    for name, package in LIBRARIES.items():
        source = (runtime_folder or package_folder(package) / "lib") / name
        if not source.is_file():
            raise BadArgument(f"TVM's runtime must be at {source}, and there is none")
        shutil.copyfile(source, bundle / "lib" / name)


def build_runner(target: Target, bundle: Path, input_shape: Sequence[int]) -> None:
    """Compile the native program into ``bundle``, whose runtime libraries are in place.

    Raises:
        CompileFailed: there is no C++ compiler for the target, or it refuses.
    """
    compiler = cxx_compiler_for(target)
    if compiler is None:
        raise CompileFailed(
            f"the native program for {target.name} needs a C++ compiler and none was found; "
            "install one, or write the bundle without the program"
        )
    source = bundle / SOURCE_NAME
    source.write_bytes((files("cmpc_cost_models.sites") / "native" / SOURCE_NAME).read_bytes())
    options = [
        "-std=c++17",
        "-O2",
        f"-DINPUT_SHAPE={','.join(map(str, input_shape))}",
        f"-L{bundle / 'lib'}",
        "-ltvm_ffi",
        "-Wl,--no-as-needed",  # the program names nothing of the runtime; the network does
        "-ltvm_runtime",
        "-Wl,-rpath,$ORIGIN/lib",
        "-Wl,--disable-new-dtags",  # the runtime finds its own libtvm_ffi by this path, too
    ]
    build(compiler, source, bundle / RUNNER_NAME, options)
