"""Meters as tests want them: of this machine, of a device, and of a site that only pretends."""

from pathlib import Path

from cmpc_cost_models.compiling.options import CompileOrder
from cmpc_cost_models.models.measured import MeasuredModel
from cmpc_cost_models.sites.base import NO_FACTS
from cmpc_cost_models.sites.process import DeviceProcess, HereProcess, SiteProcess
from cmpc_cost_models.targets.device import Device
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.timing.settings import MeasureSettings
from cmpc_cost_models.workers.process import Answer


def meter_here(
    target: Target,
    cache_dir: Path,
    settings: MeasureSettings | None = None,
    *,
    num_threads: int = 1,
) -> MeasuredModel:
    settings = settings or MeasureSettings()
    order = CompileOrder(target=target, cache_dir=cache_dir, num_threads=num_threads)
    return MeasuredModel(
        HereProcess(target, num_threads=num_threads, cpus=settings.cpus), order, settings
    )


def meter_on(
    device: Device, target: Target, cache_dir: Path, settings: MeasureSettings, **options
) -> MeasuredModel:
    order = CompileOrder(target=target, cache_dir=cache_dir)
    return MeasuredModel(DeviceProcess(device, target, **options), order, settings)


class PretendedSite(SiteProcess):
    """A site that answers what a test hands it, and has no process.

    Args:
        answers: What it answers to each verb: JSON values, or a function that makes them.
    """

    def __init__(self, answers, *, facts=NO_FACTS, name="here", is_remote=False) -> None:
        self._answers = answers
        self._known = facts
        self.name, self.is_remote = name, is_remote
        self.num_threads, self.cpus = 1, () if is_remote else (0,)
        self.asked: list[str] = []

    def close(self) -> None:
        pass

    @property
    def facts(self):
        return self._known

    def ask(self, verb, request, *, limit_seconds):
        self.asked.append(verb)
        answer = self._answers[verb]
        found = answer(request) if callable(answer) else answer
        return found if isinstance(found, Answer) else Answer(result=found)
