"""Measure schedules of one workload, and turn whatever befalls them into a result.

The worker process may crash or hang over a schedule at any time; it is replaced, and the schedule
has an error. Checking goes one by one, so that it is clear which one is to blame.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from cmpc_base.closeable import Closeable
from cmpc_cost_models.errors import MachineBusy
from cmpc_cost_models.records.evidence import Fingerprint
from cmpc_cost_models.schedules.schedule import Schedule
from cmpc_cost_models.schedules.workload import Workload
from cmpc_cost_models.sites.agreement import LARGEST_KERNEL_DIFFERENCE, Agreement
from cmpc_cost_models.sites.process import SiteProcess, site_process
from cmpc_cost_models.targets.device import LOCAL, Device
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.tuning.comparing import Times
from cmpc_cost_models.workers.process import Answer

__all__ = ["KernelRunner"]

REPEAT_US = 1000.0  # one repeat: far longer than the clock's grain
LIMIT_SECONDS = 20.0  # to build and check one schedule; timing gets it for each
LARGEST_WAIT = 0.05  # of the time, in which a thread was ready and had no processor
BUSY_ATTEMPTS = 8
BUSY_PAUSE_SECONDS = 2.0
WORKER = "cmpc_cost_models.tuning.worker"


class KernelRunner(Closeable):
    """Builds, checks and times kernels at a site.

    Args:
        device: Where they run: this machine, or one over TVM's RPC.

    Attributes:
        waiting_shares: Of each timing, how long the worker waited for a processor.
        doubts: Why some timing may not be trusted, each reason once: others leased a processor.

    Raises:
        BadArgument: the device can't run the target, or has no threads to choose from.
        DeviceUnreachable: from any method, when the device does not answer.
    """

    def __init__(
        self,
        target: Target,
        *,
        num_threads: int = 1,
        device: Device = LOCAL,
    ) -> None:
        self.site: SiteProcess = site_process(
            device, target, num_threads=num_threads, module=WORKER
        )
        self._target = target
        self.waiting_shares: list[float] = []
        self.doubts: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        """Reach the device at once: what is unplugged should be told before any work."""
        self.site.__enter__()
        return self

    def close(self) -> None:
        """End the worker and give its processors back."""
        self.site.close()

    @property
    def fingerprint(self) -> Fingerprint:
        """Which machine the times belong to."""
        return self.site.facts.fingerprint

    def machine(self) -> dict[str, Any]:
        """Return who measures, for the records."""
        facts = self.fingerprint.to_json()
        return facts | {"device": self.site.name} if self.site.is_remote else facts

    def error_of(self, workload: Workload, schedule: Schedule) -> str | None:
        """Build ``schedule`` and check its answer; return what is wrong, if anything."""
        answer = self._ask("check_kernel", workload, {"schedule": schedule.to_json()})
        if answer.error is not None:
            return answer.error
        agreement = Agreement.from_json(answer.result)
        return agreement.objection_to("the rule's", within=LARGEST_KERNEL_DIFFERENCE)

    def time(
        self, workload: Workload, schedules: Sequence[Schedule], num_repeats: int
    ) -> Mapping[Schedule, Times]:
        """Time schedules that were checked, in turn; microseconds, float64 [num_repeats] each.

        Should the worker be lost, each is timed alone, and those that fail then are left out.

        Raises:
            MachineBusy: with several threads, when others use their processors.
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
            "num_repeats": num_repeats,
            "repeat_us": REPEAT_US,
        }
        for _ in range(BUSY_ATTEMPTS):
            answer = self._ask("time_kernels", workload, request, num_schedules=len(schedules))
            if answer.error is not None:
                return None
            if not self._is_disturbed(answer.result["waiting_share"]):
                found = (np.asarray(one) for one in answer.result["times_us"])
                return dict(zip(schedules, found, strict=True))
            time.sleep(BUSY_PAUSE_SECONDS)
        raise MachineBusy(
            f"the machine must be quiet to time {self.site.num_threads} threads, and others used "
            f"their processors {BUSY_ATTEMPTS} times in a row; call again later, what is done is "
            "kept"
        )

    def _is_disturbed(self, waiting_share: float | None) -> bool:
        """Tell whether several threads had to wait for a stranger, or share a processor with cmpc.

        One thread that must wait has some bad repeats, which a comparison leaves out. Of several,
        all stand still while one waits, and parallel schedules look bad in every repeat.
        """
        self.waiting_shares.append(waiting_share or 0.0)
        doubts = tuple(self.site.doubts())
        self.doubts = tuple(dict.fromkeys((*self.doubts, *doubts)))
        if self.site.num_threads == 1:
            return False
        return bool(doubts) or (waiting_share or 0.0) > LARGEST_WAIT

    def _ask(
        self, verb: str, workload: Workload, request: dict[str, Any], *, num_schedules: int = 1
    ) -> Answer:
        job = {"workload": workload.key, "target": self._target.to_json()}
        limit_seconds = LIMIT_SECONDS * num_schedules
        return self.site.ask(verb, {"job": job} | request, limit_seconds=limit_seconds)
