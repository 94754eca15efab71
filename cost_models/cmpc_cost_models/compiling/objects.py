"""Machine code of single kernels, kept on disk: the networks of a space share most of theirs.

    workload, schedule --kernels--> loops --TVM, LLVM--> <folder>/<key>/<its SHA-256>.o

Most of the time of a compilation goes into a kernel's loops, and none of it depends on the network
around them. A file is named after its content: one that was altered is found out and made again.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tvm

from cmpc_base.cache import keep_by_content, mark, whole_file
from cmpc_cost_models.identity import code_document, key_of
from cmpc_cost_models.kernels.code import write_kernel
from cmpc_cost_models.schedules.schedule import Schedule
from cmpc_cost_models.schedules.workload import Workload
from cmpc_cost_models.targets.target import Target

__all__ = ["KernelObject", "KernelObjects", "compile_kernel", "compile_module"]

SYMBOL_DIGITS = 12  # of the key: enough to tell the kernels of one network apart


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelObject:
    """An object file with one kernel, and what the kernel is called."""

    symbol: str
    path: Path


def compile_kernel(function: Any, target: Target, symbol: str) -> Any:
    """Return TVM's executable of what ``write_kernel`` wrote, called ``symbol``, in memory."""
    return compile_module(
        tvm.IRModule({symbol: function.with_attr("global_symbol", symbol)}), target
    )


def compile_module(module: Any, target: Target) -> Any:
    """Return TVM's executable of ``module``, in memory.

    Functions would check each argument's type, shape and alignment at every call. What calls them
    was compiled for them; leaving the checks out halves compile time and code.
    """
    with tvm.transform.PassContext(config={"tirx.disable_assert": True}):
        return tvm.compile(module, tvm.target.Target(target.to_tvm()))


class KernelObjects:
    """Object files of kernels for one target; several processes may use one folder."""

    def __init__(self, folder: Path, target: Target) -> None:
        self._folder, self._target = folder, target
        self._how = code_document("compiling.objects", target)

    def find_or_compile(self, workload: Workload, schedule: Schedule) -> KernelObject:
        """Return the kernel's object file, compiled now unless it was before."""
        key = self._key(workload, schedule)
        symbol = f"{type(workload.spec).__name__.lower()}_{key[:SYMBOL_DIGITS]}"
        folder = self._folder / key
        mark(folder)
        path = whole_file(folder, ".o")
        if path is None:
            code = compile_kernel(write_kernel(workload, schedule), self._target, symbol)
            path = keep_by_content(folder, ".o", lambda draft: code.mod.write_to_file(str(draft)))
        return KernelObject(symbol=symbol, path=path)

    def _key(self, workload: Workload, schedule: Schedule) -> str:
        what = {"workload": workload.key, "schedule": schedule.to_json()}
        return key_of(self._how | what)
