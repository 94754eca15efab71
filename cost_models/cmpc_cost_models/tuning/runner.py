"""Measure schedules of one workload, and turn whatever befalls them into a result.

The worker process may crash or hang over a schedule at any time; it is replaced, and the schedule
has an error. Checking goes one by one, so that it is clear which one is to blame.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.lowering.schedules import Schedule, Workload
from cmpc_cost_models.measuring.worker_process import WorkerProcess
from cmpc_cost_models.targets import Target
from cmpc_cost_models.tuning.comparing import Times

__all__ = ["KernelRunner"]

LARGEST_DIFFERENCE = 1e-4  # of the largest value; other orders of summing stay below 1e-5
REPEAT_US = 1000.0  # one repeat: far longer than the clock's grain
WORKER_MODULE = "cmpc_cost_models.tuning.worker"


class KernelRunner:
    """Builds, checks and times kernels in a worker of its own.

    Args:
        limit_seconds: For building and checking one schedule; timing gets it for each.

    Raises:
        BadArgument: the target can't run on this machine.
    """

    def __init__(self, target: Target, *, num_threads: int, limit_seconds: float = 20.0) -> None:
        if reason := target.why_not_here():
            raise BadArgument(
                f"schedules of target {target.name} can't be measured here, because {reason}; "
                "tune on a machine of that kind"
            )
        self._target = target.to_json()
        self._limit_seconds = limit_seconds
        self._cpus = sorted(os.sched_getaffinity(0))[-num_threads:]
        self._worker = WorkerProcess(num_threads=num_threads, module=WORKER_MODULE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.close()

    @property
    def worker_pid(self) -> int | None:
        return self._worker.pid

    def error_of(self, workload: Workload, schedule: Schedule) -> str | None:
        """Build ``schedule`` and check its answer; return what is wrong, if anything."""
        answer = self._ask("check", workload, {"schedule": schedule.to_json()}, num_schedules=1)
        if "error" in answer:
            return str(answer["error"])
        difference = answer["result"]["relative_difference"]
        if difference is None or difference > LARGEST_DIFFERENCE:
            given = "isn't finite" if difference is None else f"is off by {difference:.1e}"
            return (
                f"wrong answer: it must be within {LARGEST_DIFFERENCE:g} of the rule's and {given}"
            )
        return None

    def time(
        self, workload: Workload, schedules: Sequence[Schedule], num_repeats: int
    ) -> Mapping[Schedule, Times]:
        """Time schedules that were checked, in turn; microseconds, float64 [num_repeats] each.

        Should the worker be lost, each is timed alone, and those that fail then are left out.
        """
        times = self._time(workload, schedules, num_repeats)
        if times is not None or len(schedules) == 1:
            return times or {}
        alone = (self._time(workload, [one], num_repeats) for one in schedules)
        return {schedule: found for one in alone if one for schedule, found in one.items()}

    def _time(
        self, workload: Workload, schedules: Sequence[Schedule], num_repeats: int
    ) -> dict[Schedule, Times] | None:
        request = {
            "schedules": [one.to_json() for one in schedules],
            "how": {"num_repeats": num_repeats, "repeat_us": REPEAT_US, "cpus": self._cpus},
        }
        answer = self._ask("time", workload, request, num_schedules=len(schedules))
        if "error" in answer:
            return None
        found = (np.asarray(one) for one in answer["result"]["times_us"])
        return dict(zip(schedules, found, strict=True))

    def _ask(
        self, verb: str, workload: Workload, request: dict[str, Any], *, num_schedules: int
    ) -> dict[str, Any]:
        whole = {"verb": verb, "workload": workload.key, "target": self._target} | request
        return self._worker.ask(whole, limit_seconds=self._limit_seconds * num_schedules)
