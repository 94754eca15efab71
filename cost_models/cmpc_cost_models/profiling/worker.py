"""The measuring process with three more verbs: profile, limits of the machine, a rival.

{"verb": "profile", "network", "settings", "cpus", "target"} -> calls, their times, blocks
{"verb": "peaks", "target", "cpus"}                          -> Roofline
{"verb": "compare", "network", "onnx_path", "settings", ...} -> Blocks of ours and the rival's
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cmpc_cost_models.profiling.native import NativeLibrary
from cmpc_cost_models.profiling.peaks import measure_roofline
from cmpc_cost_models.profiling.rival import onnxruntime_caller, repeated, settle_between
from cmpc_cost_models.profiling.stopwatch import Stopwatch
from cmpc_cost_models.sites.loaded import LoadedNetwork
from cmpc_cost_models.sites.worker import VERBS, Verb, serve
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.timing.blocks import TimingSettings, time_in_turn, with_single_runs
from cmpc_cost_models.timing.pinning import confined, pinned

__all__ = ["main"]


def main() -> None:
    """Answer requests until the input ends."""
    serve({**VERBS, **PROFILE_VERBS})


def _profile(
    network: dict[str, Any], settings: dict[str, Any], cpus: list[int], target: dict[str, Any]
) -> dict[str, Any]:
    """Time the network whole, and call by call, in turn."""
    native = NativeLibrary(Target.from_json(target))
    how = TimingSettings(**settings)
    with pinned(cpus):
        loaded = LoadedNetwork(Path(network["library"]), network["input_shape"])
        stopwatch = Stopwatch(loaded, native)
        latest: list[Any] = []
        calls_us: list[Any] = []

        def time_calls(num_runs: int) -> float:
            durations = stopwatch.time_calls(lambda: loaded.time_ms(num_runs), num_runs)
            latest[:] = [durations.mean(axis=0)]
            return float(durations.sum(axis=1).mean()) / 1e3

        blocks = time_in_turn(
            [loaded.time_ms, time_calls],
            how,
            cpus=cpus,
            after_block=lambda index: calls_us.extend(latest) if index == 1 else None,
        )
        singles = [loaded.single_ms, lambda _: []]  # nobody asks for those with the stopwatch on
        blocks = with_single_runs(blocks, singles, how)
    return {
        "calls": [asdict(one) for one in stopwatch.calls],
        "calls_us": np.stack(calls_us).T.tolist(),
        "blocks": blocks.to_json(),
    }


def _peaks(target: dict[str, Any], cpus: list[int]) -> dict[str, Any]:
    wanted = Target.from_json(target)
    return measure_roofline(NativeLibrary(wanted), wanted, cpus).to_json()


def _compare(
    network: dict[str, Any], onnx_path: str, settings: dict[str, Any], cpus: list[int]
) -> dict[str, Any]:
    """Time the network and ONNX Runtime on it, both called from Python, in turn."""
    shape = network["input_shape"]
    with confined(cpus):  # a thread that is pinned would give its one processor to the rival's
        rival = onnxruntime_caller(Path(onnx_path), shape, num_threads=len(cpus))
    with pinned(cpus):
        loaded = LoadedNetwork(Path(network["library"]), shape)
        callers = [loaded.caller(), rival]
        return time_in_turn(
            [repeated(caller) for caller in callers],
            TimingSettings(**settings),
            cpus=cpus,
            settle=settle_between(callers, len(cpus)),
        ).to_json()


PROFILE_VERBS: Mapping[str, Verb] = {"profile": _profile, "peaks": _peaks, "compare": _compare}


if __name__ == "__main__":
    main()
