"""The measuring process with three more verbs: profile, limits of the machine, a rival.

{"verb": "profile", "site", "network", "settings", "target", "calls"}
                                                                -> calls, their times, blocks
{"verb": "peaks", "site", "target"}                             -> Roofline
{"verb": "compare", "site", "network", "onnx_path", "settings"} -> Blocks of ours and the rival's

The site is this process.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_cost_models.profiling.native import NativeLibrary
from cmpc_cost_models.profiling.peaks import measure_roofline
from cmpc_cost_models.profiling.rival import onnxruntime_caller, repeated, settled
from cmpc_cost_models.profiling.stopwatch import (
    AheadStopwatch,
    Call,
    MachineStopwatch,
    Stopwatch,
)
from cmpc_cost_models.records.evidence import TimingSettings
from cmpc_cost_models.sites.executors import AheadOfTime, VirtualMachine
from cmpc_cost_models.sites.loaded import LoadedNetwork
from cmpc_cost_models.sites.worker import SiteWorker
from cmpc_cost_models.targets.system_calls import running_on
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.timing.blocks import time_in_turn, with_single_runs
from cmpc_cost_models.workers.serving import Document, Verb, serve

__all__ = ["main"]


def main() -> None:
    """Answer requests until the input ends."""
    serve(ProfileWorker().verbs())


class ProfileWorker(SiteWorker):
    """A site's worker that can tell where time goes."""

    def verbs(self) -> Mapping[str, Verb]:
        more: Mapping[str, Verb] = {
            "profile": self.profile,
            "peaks": self.peaks,
            "compare": self.compare,
        }
        return {**super().verbs(), **more}

    def profile(
        self,
        site: Document,
        network: Document,
        settings: Document,
        target: Document,
        calls: list[Document],
    ) -> Document:
        """Time the network whole, and call by call, in turn.

        Args:
            calls: Of a network that was compiled ahead; what a virtual machine calls, that tells.
        """
        place, how = self.site(site), TimingSettings(**settings)
        with place.prepared():
            loaded = _loaded(network)
            stopwatch = _stopwatch_of(loaded, Target.from_json(target), calls)
            recorder = _CallRecorder(stopwatch)
            blocks = time_in_turn(
                [loaded.time_ms, recorder.time_ms],
                how,
                observe=place.observe,
                on_block=lambda index: recorder.keep() if index == 1 else None,
            )
            singles = [loaded.single_ms, lambda _: []]  # nobody asks with the stopwatch on
            blocks = with_single_runs(blocks, singles, how)
        return {
            "calls": [asdict(one) for one in recorder.stopwatch.calls],
            "calls_us": np.stack(recorder.kept_us).T.tolist(),
            "blocks": blocks.to_json(),
        }

    def peaks(self, site: Document, target: Document) -> Document:
        """Measure the limits of the processors together."""
        wanted = Target.from_json(target)
        return measure_roofline(NativeLibrary(wanted), wanted, site["cpus"]).to_json()

    def compare(
        self, site: Document, network: Document, onnx_path: str, settings: Document
    ) -> Document:
        """Time the network and ONNX Runtime on it, both called from Python, in turn."""
        cpus, place = site["cpus"], self.site(site)
        # A thread that is pinned would give its one processor to the rival's.
        with running_on(cpus):
            rival = onnxruntime_caller(
                Path(onnx_path), network["input_shape"], num_threads=len(cpus)
            )
        with place.prepared():
            callers: list[Callable[[], object]] = [_loaded(network).caller(), rival]
            runners = [settled(one, repeated(one), num_threads=len(cpus)) for one in callers]
            how = TimingSettings(**settings)
            return time_in_turn(runners, how, observe=place.observe).to_json()


class _CallRecorder:
    """Times a network call by call, and keeps the calls' times of the blocks that count."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        self.stopwatch = stopwatch
        self.kept_us: list[npt.NDArray[Any]] = []
        self._latest_us: npt.NDArray[Any] = np.empty(0)

    def time_ms(self, num_runs: int) -> float:
        durations = self.stopwatch.time_calls(num_runs)
        self._latest_us = durations.mean(axis=0)
        return float(durations.sum(axis=1).mean()) / 1e3

    def keep(self) -> None:
        """Keep the times of the latest block."""
        self.kept_us.append(self._latest_us)


def _stopwatch_of(network: LoadedNetwork, target: Target, calls: Sequence[Document]) -> Stopwatch:
    if isinstance(network.executor, AheadOfTime):
        return AheadStopwatch(network, network.executor, tuple(Call(**one) for one in calls))
    assert isinstance(network.executor, VirtualMachine), "there is no third way"
    return MachineStopwatch(network, network.executor, NativeLibrary(target))


def _loaded(network: Document) -> LoadedNetwork:
    return LoadedNetwork(Path(network["library"]), network["input_shape"])


if __name__ == "__main__":
    main()
