"""The process that builds single kernels, checks what they compute and times them.

A schedule may make LLVM run for ever or its kernel crash, so this is a process that may be killed
(``workers.process``). Every request says all it needs: a fresh worker answers like the one
that was lost. What it built for the last workload it keeps.

    {"verb": "connect", "device"}                      -> facts of the device
    {"verb": "check", "job", "schedule"}               -> {"relative_difference"}
    {"verb": "time", "job", "schedules", "how"}        -> {"times_us", "waiting_share"}

A job is {"workload", "target", "device"}.
"""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_cost_models.plans.specs import Convolution
from cmpc_cost_models.schedules.schedule import Schedule, Workload, rule_schedule
from cmpc_cost_models.schedules.workload_text import read_workload
from cmpc_cost_models.sites.worker import serve
from cmpc_cost_models.targets.device import Device
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.timing.conditions import conditions_between, take_snapshot
from cmpc_cost_models.timing.pinning import pinned
from cmpc_cost_models.tuning.sites import Here, OnDevice, Site

__all__ = ["main"]

Document = dict[str, Any]

Array = npt.NDArray[np.float32]

SYMBOL = "kernel"
MAX_RUNS_PER_REPEAT = 10_000


def main() -> None:
    """Answer requests until the input ends."""
    bench = _Bench()
    serve({"connect": bench.connect, "check": bench.check, "time": bench.time})


class _Bench:
    """The kernels of one job, and the place where they run."""

    def __init__(self) -> None:
        self._job: Document = {}
        self._sites: dict[Device, Site] = {}
        self._kernels: dict[Schedule, _Kernel] = {}

    def connect(self, *, device: Document) -> Document:
        """Open a session with a device; what was loaded there before is forgotten."""
        self._job = {}
        self._kernels.clear()
        self._sites.clear()  # ends an old session: a server talks to one client at a time
        self._sites[Device(**device)] = site = OnDevice(Device(**device))
        return dict(site.facts())

    def check(self, *, job: Document, schedule: Document) -> Document:
        """Compare the answer under ``schedule`` with that under the rule's schedule."""
        self._begin(job)
        expected, given = self._expected, self._kernel(Schedule.from_json(schedule)).answer()
        if not (np.isfinite(given).all() and np.isfinite(expected).all()):
            return {"relative_difference": None}  # JSON has no infinity
        largest = max(float(np.abs(expected).max()), 1e-6)
        return {"relative_difference": float(np.abs(given - expected).max()) / largest}

    def time(self, *, job: Document, schedules: Sequence[Document], how: Document) -> Document:
        """Time kernels in turn, repeat by repeat, so that whatever drifts hits all alike."""
        self._begin(job)
        kernels = [self._kernel(Schedule.from_json(one)) for one in schedules]
        cpus = how["cpus"]  # none on a device
        with pinned(cpus) if cpus else nullcontext():
            for kernel in kernels:
                kernel.warm_up(how["repeat_us"])
            before = take_snapshot(cpus)
            rounds = [_round(kernels, first=number) for number in range(how["num_repeats"])]
            after = take_snapshot(cpus)
        conditions = conditions_between(before, after, num_cpus=max(1, len(cpus)))
        return {
            "times_us": [list(times) for times in zip(*rounds, strict=True)],
            "waiting_share": conditions.waiting_share if cpus else None,
        }

    def _begin(self, job: Document) -> None:
        if job == self._job:
            return
        self._job = {}  # until all below is done
        self._kernels.clear()
        self._workload = read_workload(job["workload"])
        self._target, self._device = Target.from_json(job["target"]), Device(**job["device"])
        self._expected = self._kernel(rule_schedule(self._workload)).answer()
        self._job = job

    def _site(self) -> Site:
        if self._device not in self._sites:
            is_remote = self._device.kind == "rpc"
            self._sites[self._device] = OnDevice(self._device) if is_remote else Here()
        return self._sites[self._device]

    def _kernel(self, schedule: Schedule) -> "_Kernel":
        if schedule not in self._kernels:
            self._kernels[schedule] = _Kernel(self._workload, schedule, self._target, self._site())
        return self._kernels[schedule]


class _Kernel:
    """One kernel in memory with the buffers it works on."""

    def __init__(self, workload: Workload, schedule: Schedule, target: Target, site: Site) -> None:
        import tvm

        from cmpc_cost_models.compiling.objects import compile_kernel
        from cmpc_cost_models.kernels.code import write_kernel

        function = write_kernel(workload, schedule)
        built = compile_kernel(function, target, SYMBOL)
        self._module, self._device = site.load(built, target), site.device
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


def _round(kernels: Sequence[_Kernel], *, first: int) -> list[float]:
    """Time each kernel once; another one begins each time, lest a neighbour's beat favours one."""
    times = [0.0] * len(kernels)
    for offset in range(len(kernels)):
        position = (first + offset) % len(kernels)
        times[position] = kernels[position].time_us()
    return times


def _random_arguments(
    workload: Workload, schedule: Schedule, shapes: Sequence[tuple[int, ...]]
) -> list[Array]:
    """Return what a kernel is called with: the same for all schedules, but for how it lies.

    Positive data, so that no root or logarithm fails; a result of NaN, so that gaps show.
    """
    from cmpc_cost_models.kernels.code import pack_constants

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
