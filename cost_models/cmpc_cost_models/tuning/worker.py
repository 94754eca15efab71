"""The process that builds single kernels, checks what they compute and times them.

A schedule may make LLVM run for ever or its kernel crash, so this is a process that may be killed
(``workers.process``). Every request says all it needs: a fresh worker answers like the one
that was lost. What it built for the last workload it keeps.

    {"verb": "check_kernel", "site", "job", "schedule"}                 -> Agreement with the rule's
    {"verb": "time_kernels", "site", "job", "schedules", "num_repeats", "repeat_us"}
                                                                -> {"times_us", "waiting_share"}

A job is {"workload", "target"}.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from cmpc_cost_models.plans.specs import Convolution
from cmpc_cost_models.schedules.rules import rule_schedule
from cmpc_cost_models.schedules.schedule import Schedule
from cmpc_cost_models.schedules.workload import Workload, read_workload
from cmpc_cost_models.sites.agreement import agreement
from cmpc_cost_models.sites.base import Site
from cmpc_cost_models.sites.worker import SiteWorker
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.timing.conditions import conditions_between
from cmpc_cost_models.workers.serving import Document, Verb, serve

__all__ = ["main"]

Array = npt.NDArray[np.float32]

SYMBOL = "kernel"
MAX_RUNS_PER_REPEAT = 10_000


def main() -> None:
    """Answer requests until the input ends."""
    serve(KernelWorker().verbs())


class KernelWorker(SiteWorker):
    """A site's worker that also holds the kernels of one job."""

    def __init__(self) -> None:
        super().__init__()
        self._job: Document = {}
        self._kernels: dict[Schedule, _Kernel] = {}

    def verbs(self) -> Mapping[str, Verb]:
        more: Mapping[str, Verb] = {
            "check_kernel": self.check_kernel,
            "time_kernels": self.time_kernels,
        }
        return {**super().verbs(), **more}

    def close(self) -> None:
        """Leave the site; what was loaded there is forgotten."""
        self._job = {}
        self._kernels.clear()
        super().close()

    def check_kernel(self, *, site: Document, job: Document, schedule: Document) -> Document:
        """Compare the answer under ``schedule`` with that under the rule's schedule."""
        place = self._begin(site, job)
        given = self._kernel(place, Schedule.from_json(schedule)).answer()
        return agreement(given, self._expected).to_json()

    def time_kernels(
        self,
        *,
        site: Document,
        job: Document,
        schedules: Sequence[Document],
        num_repeats: int,
        repeat_us: float,
    ) -> Document:
        """Time kernels in turn, repeat by repeat, so that whatever drifts hits all alike."""
        place = self._begin(site, job)
        kernels = [self._kernel(place, Schedule.from_json(one)) for one in schedules]
        with place.prepared():
            for kernel in kernels:
                kernel.warm_up(repeat_us)
            before = place.observe()
            rounds = [_round(kernels, first=number) for number in range(num_repeats)]
            conditions = conditions_between(before, place.observe())
        return {
            "times_us": [list(times) for times in zip(*rounds, strict=True)],
            "waiting_share": conditions.waiting_share,
        }

    def _begin(self, site: Document, job: Document) -> Site:
        """Return the site, with the kernels of another job forgotten."""
        place = self.site(site)
        if job != self._job:
            self._job = {}  # until all below is done
            self._kernels.clear()
            self._workload = read_workload(job["workload"])
            self._target = Target.from_json(job["target"])
            self._expected = self._kernel(place, rule_schedule(self._workload)).answer()
            self._job = job
        return place

    def _kernel(self, place: Site, schedule: Schedule) -> "_Kernel":
        if schedule not in self._kernels:
            self._kernels[schedule] = _Kernel(self._workload, schedule, self._target, place)
        return self._kernels[schedule]


class _Kernel:
    """One kernel in memory with the buffers it works on."""

    def __init__(self, workload: Workload, schedule: Schedule, target: Target, site: Site) -> None:
        import tvm

        from cmpc_cost_models.compiling.objects import compile_kernel
        from cmpc_cost_models.kernels.code import write_kernel

        function = write_kernel(workload, schedule)
        built = compile_kernel(function, target, SYMBOL)
        self._module, self._device = site.load_kernels(built)
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
        weight = rng.uniform(-1, 1, spec.window.num_taps * spec.depth * spec.out_channels)
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
