"""The process that builds single kernels, checks what they compute and times them.

A schedule may make LLVM run for ever or its kernel crash, so this is a process that may be killed
(``measuring.worker_process``). Every request says all it needs: a fresh worker answers like the one
that was lost. What it built for the last workload it keeps.

    {"verb": "check", "workload", "target", "schedule"}      -> {"relative_difference"}
    {"verb": "time", "workload", "target", "schedules", ...} -> {"times_us": [[...], ...]}

LLVM's own linker in memory makes the kernels runnable; the code is what a library would hold, and
no file is written, linked and loaded.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_cost_models.lowering.kernel_specs import Convolution
from cmpc_cost_models.lowering.schedules import Schedule, Workload, rule_schedule
from cmpc_cost_models.measuring.pinning import pinned
from cmpc_cost_models.measuring.worker import serve
from cmpc_cost_models.targets import Target
from cmpc_cost_models.tuning.workload_text import read_workload

__all__ = ["main"]

Document = dict[str, Any]

Array = npt.NDArray[np.float32]

SYMBOL = "kernel"
MAX_RUNS_PER_REPEAT = 10_000


def main() -> None:
    """Answer requests until the input ends."""
    bench = _Bench()
    serve({"check": bench.check, "time": bench.time})


class _Bench:
    """The kernels of one workload."""

    def __init__(self) -> None:
        self._key = ""
        self._kernels: dict[Schedule, _Kernel] = {}

    def check(self, *, workload: str, target: Document, schedule: Document) -> Document:
        """Compare the answer under ``schedule`` with that under the rule's schedule."""
        self._begin(workload, target)
        expected, given = self._expected, self._kernel(Schedule.from_json(schedule)).answer()
        if not (np.isfinite(given).all() and np.isfinite(expected).all()):
            return {"relative_difference": None}  # JSON has no infinity
        largest = max(float(np.abs(expected).max()), 1e-6)
        return {"relative_difference": float(np.abs(given - expected).max()) / largest}

    def time(
        self, *, workload: str, target: Document, schedules: Sequence[Document], how: Document
    ) -> Document:
        """Time kernels in turn, repeat by repeat, so that whatever drifts hits all alike."""
        self._begin(workload, target)
        kernels = [self._kernel(Schedule.from_json(one)) for one in schedules]
        with pinned(how["cpus"]):
            for kernel in kernels:
                kernel.warm_up(how["repeat_us"])
            rounds = [[one.time_us() for one in kernels] for _ in range(how["num_repeats"])]
        return {"times_us": [list(times) for times in zip(*rounds, strict=True)]}

    def _begin(self, workload: str, target: Document) -> None:
        if workload == self._key:
            return
        self._key = ""  # until all below is done
        self._kernels.clear()
        self._workload, self._target = read_workload(workload), Target.from_json(target)
        self._expected = self._kernel(rule_schedule(self._workload)).answer()
        self._key = workload

    def _kernel(self, schedule: Schedule) -> "_Kernel":
        if schedule not in self._kernels:
            self._kernels[schedule] = _Kernel(self._workload, schedule, self._target)
        return self._kernels[schedule]


class _Kernel:
    """One kernel in memory with the buffers it works on."""

    def __init__(self, workload: Workload, schedule: Schedule, target: Target) -> None:
        import tvm

        from cmpc_cost_models.lowering.kernel_code import write_kernel

        function = write_kernel(workload, schedule).with_attr("global_symbol", SYMBOL)
        with tvm.transform.PassContext(config={"tirx.disable_assert": True}):
            built = tvm.compile(
                tvm.IRModule({SYMBOL: function}), tvm.target.Target(target.to_tvm())
            )
        self._module = built.mod
        self._device = tvm.cpu()
        sizes = [tuple(map(int, one.shape)) for one in function.params]
        arrays = _random_arguments(workload, schedule, sizes)
        self._arguments = [tvm.runtime.tensor(one, self._device) for one in arrays]
        self._num_runs = 0

    def answer(self) -> Array:
        """Run once; return the result, flat float32."""
        self._module[SYMBOL](*self._arguments)
        result: Array = self._arguments[-1].numpy()
        return result

    def warm_up(self, repeat_us: float) -> None:
        """Find out, unless it is known, how many runs make one repeat."""
        if self._num_runs == 0:
            self._num_runs = 1
            runs = math.ceil(repeat_us / max(self.time_us(), 1e-3))
            self._num_runs = min(MAX_RUNS_PER_REPEAT, runs)

    def time_us(self) -> float:
        """Return the mean time of the runs of one repeat; the loop is TVM's, in C++."""
        evaluator = self._module.time_evaluator(SYMBOL, self._device, number=self._num_runs)
        return float(evaluator(*self._arguments).mean) * 1e6


def _random_arguments(
    workload: Workload, schedule: Schedule, shapes: Sequence[tuple[int, ...]]
) -> list[Array]:
    """Return what a kernel is called with: the same for all schedules, but for how it lies.

    Positive data, so that no root or logarithm fails; a result of NaN, so that gaps show.
    """
    from cmpc_cost_models.lowering.kernel_code import pack_constants

    spec, rng = workload.spec, np.random.default_rng(0)
    constants: tuple[Array, ...] = ()
    if isinstance(spec, Convolution):
        weight = rng.uniform(
            -1, 1, spec.kernel[0] * spec.kernel[1] * spec.depth * spec.out_channels
        )
        bias = rng.uniform(-1, 1, spec.out_channels)
        given = (weight.astype(np.float32), bias.astype(np.float32))
        constants = pack_constants(spec, schedule, given)
    data = [
        rng.uniform(0.1, 1, shape).astype(np.float32)
        for shape in (*shapes[:1], *shapes[1 + len(constants) : -1])
    ]
    return [data[0], *constants, *data[1:], np.full(shapes[-1], np.nan, np.float32)]


if __name__ == "__main__":
    main()
