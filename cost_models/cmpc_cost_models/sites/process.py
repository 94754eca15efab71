"""A site in a worker process, as its parent sees it: ask, and whatever happens is an answer.

A worker that hangs or dies is replaced (``workers.process``). Of a device it is asked again after
each failure whether it still answers: when the device itself is gone, ``DeviceUnreachable`` ends
the work, since the next network would fare no better.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Self

from cmpc_base.closeable import Closeable
from cmpc_cost_models.errors import BadArgument, DeviceUnreachable
from cmpc_cost_models.sites.base import NO_FACTS, SiteFacts
from cmpc_cost_models.sites.here import own_facts
from cmpc_cost_models.targets.device import Device
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.timing.lease import CpuLease
from cmpc_cost_models.workers.process import Answer, WorkerProcess

__all__ = ["DeviceProcess", "HereProcess", "SiteProcess", "site_process"]

WORKER = "cmpc_cost_models.sites.worker"
CONNECT_SECONDS = 30.0  # to be let in, and to tell which machine it is


class SiteProcess(Closeable):
    """A worker process with a site in it.

    Args:
        site: What the worker opens, see ``catalogue.open_site``.
        module: What runs in the worker; it knows the verbs of ``worker`` at least.

    Attributes:
        name: What users call the place.
        is_remote: Whether it is another machine than this.
        cpus: The processors of this machine that are timed on; none where it is another's.
    """

    name = "here"
    is_remote = False
    cpus: tuple[int, ...] = ()

    def __init__(self, site: Mapping[str, Any], *, num_threads: int, module: str = WORKER) -> None:
        self._site = dict(site)
        self.num_threads = num_threads
        self.worker = WorkerProcess(module, num_threads=num_threads)

    def close(self) -> None:
        """End the worker, and with it what it holds."""
        self.worker.close()

    def ask(self, verb: str, request: Mapping[str, Any], *, limit_seconds: float) -> Answer:
        """Ask the worker; one that hangs or dies is an error text."""
        whole = {"verb": verb, "site": self._site, **request}
        return self.worker.ask(whole, limit_seconds=limit_seconds)

    @property
    def facts(self) -> SiteFacts:
        """What the site tells of its machine."""
        return NO_FACTS

    @property
    def note(self) -> str | None:
        """What a user must know of times that are taken there; ``None`` for nothing."""
        return None

    def doubts(self) -> Iterator[str]:
        """Say why the timing that just ended may not be trusted, beside what it says itself."""
        yield from ()


class HereProcess(SiteProcess):
    """A worker on this machine, with a processor leased for each of its threads.

    Raises:
        BadArgument: the target can't run here, or there are too few processors.
    """

    def __init__(
        self,
        target: Target,
        *,
        num_threads: int = 1,
        cpus: tuple[int, ...] = (),
        module: str = WORKER,
    ) -> None:
        if reason := target.why_not_here():
            raise BadArgument(
                f"target {target.name} can't be measured here, because {reason}; measure on a "
                "machine of that kind, or name one with `--device rpc://HOST:PORT`"
            )
        self._lease = CpuLease(num_threads, wanted=cpus)
        self.cpus = self._lease.cpus
        site = {"kind": "here", "cpus": list(self.cpus)}
        super().__init__(site, num_threads=num_threads, module=module)

    def close(self) -> None:
        """End the worker and give its processors back."""
        super().close()
        self._lease.close()

    @property
    def facts(self) -> SiteFacts:
        return own_facts()

    def doubts(self) -> Iterator[str]:
        yield from self._lease.doubts()


class DeviceProcess(SiteProcess):
    """A worker with a session on a device, which is reached at the start of a ``with`` block.

    Raises:
        DeviceUnreachable: from any method, when the device does not answer.
        BadArgument: the device can't run the target, or has no threads to choose from.
    """

    is_remote = True

    def __init__(
        self,
        device: Device,
        target: Target,
        *,
        num_threads: int = 1,
        module: str = WORKER,
    ) -> None:
        if num_threads > 1:
            raise BadArgument(
                "a device's threads are its server's to choose, so `num_threads` must be 1 there, "
                f"got {num_threads}"
            )
        self.name = device.name
        self._target = target
        self._facts = NO_FACTS
        site = {"kind": "rpc", "device": device.to_json(), "target": target.to_json()}
        super().__init__(site, num_threads=num_threads, module=module)

    def __enter__(self) -> Self:
        """Reach the device at once: what is unplugged should be told before any work."""
        try:
            self.connect()
        except BaseException:
            self.close()
            raise
        return self

    def connect(self) -> None:
        """Open a session with the device, or another in place of one that is lost."""
        answer = super().ask("connect", {}, limit_seconds=CONNECT_SECONDS)
        if answer.error is not None:
            is_named = self.name in answer.error
            message = answer.error if is_named else f"{self.name} must answer: {answer.error}"
            raise DeviceUnreachable(message)
        self._facts = SiteFacts.from_json(answer.result)
        if reason := _why_not_there(self._target, self._facts):
            raise BadArgument(
                f"target {self._target.name} can't run on {self.name}, because {reason}; name "
                "another target or device"
            )

    def ask(self, verb: str, request: Mapping[str, Any], *, limit_seconds: float) -> Answer:
        """Ask for work on the device; raise if it is gone, answer with an error if it is not."""
        if self.worker.is_worn:
            self.connect()  # the next worker's session: a tracker may hand out another board
        answer = super().ask(verb, request, limit_seconds=limit_seconds)
        if answer.error is not None:
            self.connect()
        return answer

    @property
    def facts(self) -> SiteFacts:
        """What the device told when it was last reached."""
        return self._facts

    @property
    def note(self) -> str | None:
        if self._facts.features is not None:
            return None
        return (
            f"Latencies are measured on {self.name}, where nobody sees what else runs or "
            "how hot it is: only timings that disagree raise doubts."
        )


def site_process(
    device: Device,
    target: Target,
    *,
    num_threads: int = 1,
    cpus: tuple[int, ...] = (),
    module: str = WORKER,
) -> SiteProcess:
    """Return the process of a device where code is timed.

    Args:
        cpus: On this machine, the processors to time on; the best free ones by default.

    Raises:
        BadArgument: it is no place for that, or can't run the target.
    """
    if device.kind == "none":
        raise BadArgument(
            "`device` must not be none where something is timed; name local or rpc://HOST:PORT"
        )
    if device.kind == "rpc":
        return DeviceProcess(device, target, num_threads=num_threads, module=module)
    return HereProcess(target, num_threads=num_threads, cpus=cpus, module=module)


def _why_not_there(target: Target, facts: SiteFacts) -> str | None:
    """Return why a device can't run the target's code, or ``None`` if it can or doesn't tell."""
    architecture = facts.fingerprint.architecture or target.architecture
    if architecture != target.architecture:
        return f"it needs a {target.architecture} processor and that one is {architecture}"
    missing = target.required_flags - facts.features if facts.features else None
    return f"that processor lacks {', '.join(sorted(missing))}" if missing else None
