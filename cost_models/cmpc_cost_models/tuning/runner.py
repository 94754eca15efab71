"""Measure schedules of one workload, and turn whatever befalls them into a result.

The worker process may crash or hang over a schedule at any time; it is replaced, and the schedule
has an error. Checking goes one by one, so that it is clear which one is to blame.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from cmpc_cost_models.errors import BadArgument, DeviceUnreachable, MachineBusy
from cmpc_cost_models.schedules.schedule import Schedule, Workload
from cmpc_cost_models.targets.device import LOCAL, Device
from cmpc_cost_models.targets.machine import describe_machine
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.timing.lease import CpuLease
from cmpc_cost_models.tuning.comparing import Times
from cmpc_cost_models.workers.process import WorkerProcess

__all__ = ["KernelRunner"]

LARGEST_DIFFERENCE = 1e-4  # of the largest value; other orders of summing stay below 1e-5
REPEAT_US = 1000.0  # one repeat: far longer than the clock's grain
CONNECT_SECONDS = 20.0
LARGEST_WAIT = 0.05  # of the time, in which a thread was ready and had no processor
BUSY_ATTEMPTS = 8
BUSY_PAUSE_SECONDS = 2.0
WORKER_MODULE = "cmpc_cost_models.tuning.worker"


class KernelRunner:
    """Builds, checks and times kernels in a worker of its own.

    Args:
        device: Where they run: this machine, or one over TVM's RPC.
        limit_seconds: For building and checking one schedule; timing gets it for each.

    Attributes:
        waiting_shares: Of each timing, how long the worker waited for a processor.

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
        limit_seconds: float = 20.0,
    ) -> None:
        _require_able(target, device, num_threads)
        self._target = target
        self._device = device
        self._limit_seconds = limit_seconds
        self._lease = CpuLease(num_threads) if device == LOCAL else None
        self._cpus = list(self._lease.cpus) if self._lease else []
        self._worker = WorkerProcess(num_threads=num_threads, module=WORKER_MODULE)
        self._facts: dict[str, Any] = {}
        self.waiting_shares: list[float] = []

    def __enter__(self) -> Self:
        """Reach the device at once: what is unplugged should be told before any work."""
        try:
            self.connect()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        self._worker.close()
        if self._lease:
            self._lease.close()

    @property
    def worker_pid(self) -> int | None:
        return self._worker.pid

    def connect(self) -> None:
        """Open a session with a remote device, or another in place of one that is lost."""
        if self._device == LOCAL:
            return
        request = {"verb": "connect", "device": self._device.to_json()}
        answer = self._worker.ask(request, limit_seconds=CONNECT_SECONDS)
        if "error" in answer:
            raise DeviceUnreachable(f"{self._device.name} must answer: {answer['error']}")
        self._facts = answer["result"]
        architecture = (self._facts.get("triple") or self._target.triple).partition("-")[0]
        if architecture != self._target.architecture:
            raise BadArgument(
                f"target {self._target.name} needs a {self._target.architecture} processor and "
                f"{self._device.name} is {architecture}; name another target or device"
            )

    def machine(self) -> dict[str, Any]:
        """Return who measures, for the records."""
        if self._device == LOCAL:
            return describe_machine()
        return {"device": self._device.name, **self._facts}

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
            "how": {"num_repeats": num_repeats, "repeat_us": REPEAT_US, "cpus": self._cpus},
        }
        for _ in range(BUSY_ATTEMPTS):
            answer = self._ask("time", workload, request, num_schedules=len(schedules))
            if "error" in answer:
                return None
            if not self._is_disturbed(answer["result"]["waiting_share"]):
                found = (np.asarray(one) for one in answer["result"]["times_us"])
                return dict(zip(schedules, found, strict=True))
            time.sleep(BUSY_PAUSE_SECONDS)
        raise MachineBusy(
            f"the machine must be quiet to time {len(self._cpus)} threads, and others used their "
            f"processors {BUSY_ATTEMPTS} times in a row; call again later, what is done is kept"
        )

    def _is_disturbed(self, waiting_share: float | None) -> bool:
        """Tell whether threads that wait for each other waited for a stranger.

        One thread that must wait has some bad repeats, which a comparison leaves out. Of several,
        all stand still while one waits, and parallel schedules look bad in every repeat.
        """
        self.waiting_shares.append(waiting_share or 0.0)
        return len(self._cpus) > 1 and (waiting_share or 0.0) > LARGEST_WAIT

    def _ask(
        self, verb: str, workload: Workload, request: dict[str, Any], *, num_schedules: int
    ) -> dict[str, Any]:
        job = {
            "workload": workload.key,
            "target": self._target.to_json(),
            "device": self._device.to_json(),
        }
        limit_seconds = self._limit_seconds * num_schedules
        answer = self._worker.ask({"verb": verb, "job": job} | request, limit_seconds=limit_seconds)
        if "error" in answer:
            self.connect()  # raises if it is the device that is lost, not the schedule
        return answer


def _require_able(target: Target, device: Device, num_threads: int) -> None:
    if device.kind == "none":
        raise BadArgument("tuning measures, so `device` must not be none; name local or rpc://...")
    if device.kind == "rpc" and num_threads > 1:
        raise BadArgument(
            "a device's threads are its server's to choose, so `num_threads` must be 1 there, "
            f"got {num_threads}"
        )
    if device == LOCAL and (reason := target.why_not_here()):
        raise BadArgument(
            f"schedules of target {target.name} can't be measured here, because {reason}; "
            "tune on a machine of that kind, or name one with `--device rpc://HOST:PORT`"
        )
