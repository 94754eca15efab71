"""What is there to tune in these networks? Each distinct workload once, the most work first.

Workloads that differ in what lies around their data only (borders, residuals) count as one: the
others find its record at no distance (``similar``). Kernels that can be computed in one way only
are no task.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cmpc_cost_models.graphs.reading import load_graph
from cmpc_cost_models.plans.plan import Call
from cmpc_cost_models.plans.planner import plan_network
from cmpc_cost_models.plans.specs import Convolution
from cmpc_cost_models.plans.work import num_read
from cmpc_cost_models.schedules.rules import schedule_space
from cmpc_cost_models.schedules.similar import Features, features_of
from cmpc_cost_models.schedules.workload import Workload
from cmpc_cost_models.targets.target import Target

__all__ = ["TuningTask", "extract_tasks"]


MACS_OF_A_NUMBER = 8  # while one is moved from or to the second cache


@dataclass(frozen=True, kw_only=True, slots=True)
class TuningTask:
    """A workload to tune.

    Attributes:
        weight: How often the networks call it, in all.
    """

    workload: Workload
    weight: int

    @property
    def work(self) -> int:
        """What one call does, in multiply-adds, and in numbers moved as far as these cost more."""
        spec = self.workload.spec
        macs = spec.macs if isinstance(spec, Convolution) else 0
        return max(macs, MACS_OF_A_NUMBER * (spec.target.size + num_read(spec)))


def extract_tasks(
    onnx_paths: Iterable[Path], target: Target, *, num_threads: int = 1
) -> tuple[TuningTask, ...]:
    """Return the distinct workloads of all networks, those that do the most first.

    Raises:
        BadNetworkFile: a file can't be read or isn't static.
    """
    calls: dict[Features, Counter[Workload]] = {}
    for path in onnx_paths:
        planned = plan_network(load_graph(path)).calls
        for call in (one for one in planned if isinstance(one, Call)):
            workload = Workload.of(call.spec, target, num_threads=num_threads)
            calls.setdefault(features_of(workload), Counter())[workload] += 1
    tasks = [
        TuningTask(workload=counts.most_common(1)[0][0], weight=counts.total())
        for counts in calls.values()
    ]
    return tuple(sorted(filter(_has_choice, tasks), key=lambda task: -task.weight * task.work))


def _has_choice(task: TuningTask) -> bool:
    return len(list(islice(schedule_space(task.workload), 2))) > 1
