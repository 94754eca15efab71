"""The process that loads TVM once, and compiles, checks and times networks for its parent.

A compiled candidate can crash, and LLVM can run for ever on one. Both happen here, in a process
that the parent may kill, never in the search itself. ``worker_process`` starts it as a module; it
speaks length-prefixed JSON over its standard streams (``messages``), and ends when its input ends
and when its parent is gone. Other workers are this loop with more verbs: ``serve``.

    {"verb": "compile", "onnx_path", "target", "cache_dir", ...} -> CompiledNetwork
    {"verb": "check", "library", "input_shape", "onnx_path"}     -> Agreement
    {"verb": "time", "networks", "settings", "cpus"}             -> Blocks
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cmpc_base.errors import CmpcError
from cmpc_base.machine_faults import machine_fault
from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.schedules.source import open_schedules
from cmpc_cost_models.sites.agreement import compare
from cmpc_cost_models.sites.loaded import LoadedNetwork
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.timing.blocks import TimingSettings, time_in_turn, with_single_runs
from cmpc_cost_models.timing.pinning import pinned
from cmpc_cost_models.workers.messages import read_message, write_message

__all__ = ["VERBS", "Verb", "main", "serve"]

MAX_ERROR_LENGTH = 1000

Verb = Callable[..., dict[str, Any]]


def main() -> None:
    """Answer requests until the input ends."""
    serve(VERBS)


def serve(verbs: Mapping[str, Verb]) -> None:
    """Answer requests for ``verbs`` until the input ends; TVM is loaded first."""
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints must not end up between the messages
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    import onnxruntime  # noqa: F401
    import tvm

    write_message(answers, {"ready": {"tvm": tvm.__version__}})
    while (request := read_message(0)) is not None:
        write_message(answers, _answer(verbs, request))


def _answer(verbs: Mapping[str, Verb], request: dict[str, Any]) -> dict[str, Any]:
    """Do what ``request`` asks; an error is an answer too, and so is a fault of the machine."""
    verb = request.pop("verb")
    try:
        return {"result": verbs[verb](**request)}
    # Whatever TVM or ONNX Runtime raise is about this candidate; the next one may do better.
    except Exception as error:
        if fault := machine_fault(error):
            return {"machine_fault": f"{verb} failed: {fault}"[:MAX_ERROR_LENGTH]}
        if isinstance(error, CmpcError):
            return {"error": str(error)}
        return {"error": f"{verb} failed: {type(error).__name__}: {error}"[:MAX_ERROR_LENGTH]}


def _compile(
    onnx_path: str,
    target: dict[str, Any],
    cache_dir: str,
    num_threads: int,
    schedules_dir: str | None = None,
) -> dict[str, Any]:
    wanted = Target.from_json(target)
    # Opened anew for each network: what others have tuned meanwhile serves this one already.
    schedules = None if schedules_dir is None else open_schedules(Path(schedules_dir), wanted)
    return compile_network(
        Path(onnx_path),
        wanted,
        cache_dir=Path(cache_dir),
        num_threads=num_threads,
        schedules=schedules,
    ).to_json()


def _check(library: str, input_shape: list[int], onnx_path: str) -> dict[str, Any]:
    """Compare the library's answers with ONNX Runtime's."""
    network = LoadedNetwork(Path(library), input_shape)
    return compare(network.run, onnx_path, input_shape).to_json()


def _time(
    networks: list[dict[str, Any]], settings: dict[str, Any], cpus: list[int]
) -> dict[str, Any]:
    """Time the networks in turn, block by block, so that whatever drifts hits all alike."""
    how = TimingSettings(**settings)
    with pinned(cpus):
        loaded = [LoadedNetwork(Path(one["library"]), one["input_shape"]) for one in networks]
        runners = [network.time_ms for network in loaded]
        blocks = time_in_turn(runners, how, cpus=cpus)
        return with_single_runs(blocks, [one.single_ms for one in loaded], how).to_json()


VERBS: Mapping[str, Verb] = {"compile": _compile, "check": _check, "time": _time}


def _end_with_parent(parent: int) -> None:
    """End this process soon after its parent, even while a compiler loops."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


if __name__ == "__main__":
    main()
