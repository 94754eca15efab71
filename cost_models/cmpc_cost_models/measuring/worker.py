"""The process that loads TVM once, and compiles, checks and times networks for its parent.

A compiled candidate can crash, and LLVM can run for ever on one. Both happen here, in a process
that the parent may kill, never in the search itself. ``worker_process`` starts it as a module; it
speaks length-prefixed JSON over its standard streams (``messages``), and ends when its input ends
and when its parent is gone.

    {"verb": "compile", "onnx_path", "target", "cache_dir"}   -> CompiledNetwork
    {"verb": "check", "library", "input_shape", "onnx_path"}  -> {"relative_difference"}
    {"verb": "time", "networks", "settings", "cpus"}          -> {"blocks_ms", "cpu_share", ...}
"""

import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cmpc_cost_models.compiling import compile_network
from cmpc_cost_models.errors import CostModelsError
from cmpc_cost_models.measuring.messages import read_message, write_message
from cmpc_cost_models.running import LoadedNetwork
from cmpc_cost_models.targets import Target

__all__ = ["main"]

Verb = Callable[..., dict[str, Any]]

MAX_RUNS_PER_BLOCK = 100_000
FEWEST_BLOCKS = 3


def main() -> None:
    """Answer requests until the input ends."""
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints must not end up between the messages
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    import onnxruntime  # noqa: F401
    import tvm

    write_message(answers, {"ready": {"tvm": tvm.__version__}})
    while (request := read_message(0)) is not None:
        write_message(answers, _answer(request))


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """Do what ``request`` asks; an error is an answer too."""
    verbs: dict[str, Verb] = {"compile": _compile, "check": _check, "time": _time}
    verb = request.pop("verb")
    try:
        return {"result": verbs[verb](**request)}
    except CostModelsError as error:
        return {"error": str(error)}
    # Whatever TVM or ONNX Runtime raise is about this candidate; the next one may do better.
    except Exception as error:
        return {"error": f"{verb} failed: {type(error).__name__}: {error}"[:1000]}


def _compile(onnx_path: str, target: dict[str, Any], cache_dir: str) -> dict[str, Any]:
    flags = frozenset(target.pop("required_flags"))
    wanted = Target(required_flags=flags, **target)
    return compile_network(Path(onnx_path), wanted, cache_dir=Path(cache_dir)).to_json()


def _check(library: str, input_shape: list[int], onnx_path: str) -> dict[str, Any]:
    """Compare the library's answer with ONNX Runtime's on one random image."""
    import onnxruntime

    session = onnxruntime.InferenceSession(onnx_path, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).random(input_shape, dtype=np.float32)
    [expected] = session.run(None, {session.get_inputs()[0].name: image})
    given = LoadedNetwork(Path(library), input_shape).run(image)
    largest = float(np.abs(expected).max())
    difference = float(np.abs(given - expected).max())
    # JSON has no infinity: an answer that isn't finite has no difference to tell.
    is_finite = bool(np.isfinite(given).all() and np.isfinite(expected).all())
    return {"relative_difference": difference / max(largest, 1e-6) if is_finite else None}


def _time(
    networks: list[dict[str, Any]], settings: dict[str, Any], cpus: list[int]
) -> dict[str, Any]:
    """Time the networks in turn, block by block, so that whatever drifts hits all alike."""
    allowed = os.sched_getaffinity(0)
    if cpus:
        os.sched_setaffinity(0, cpus)
    try:
        loaded = [LoadedNetwork(Path(one["library"]), one["input_shape"]) for one in networks]
        num_runs, warm_ms = zip(*(_warm_up(one, settings) for one in loaded), strict=True)
        affordable = int(settings["max_seconds"] * 1e3 / sum(warm_ms))
        num_blocks = max(FEWEST_BLOCKS, min(settings["num_blocks"], affordable))
        blocks: list[list[float]] = [[] for _ in loaded]
        start, cpu_start = time.perf_counter(), time.process_time()
        for _ in range(num_blocks):
            for collected, network, number in zip(blocks, loaded, num_runs, strict=True):
                collected.append(network.time_ms(number))
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    finally:
        os.sched_setaffinity(0, allowed)
    return {"blocks_ms": blocks, "runs_per_block": num_runs, "cpu_share": cpu / wall}


def _warm_up(network: LoadedNetwork, settings: dict[str, Any]) -> tuple[int, float]:
    """Run for a while; return how many runs make one block, and how long that block takes."""
    end = time.perf_counter() + settings["warmup_ms"] / 1e3
    latency_ms = network.time_ms(1)
    while time.perf_counter() < end:
        latency_ms = network.time_ms(_runs_in(settings["block_ms"], latency_ms))
    num_runs = _runs_in(settings["block_ms"], latency_ms)
    return num_runs, num_runs * latency_ms


def _runs_in(block_ms: float, latency_ms: float) -> int:
    return min(MAX_RUNS_PER_BLOCK, math.ceil(block_ms / max(latency_ms, 1e-6)))


def _end_with_parent(parent: int) -> None:
    """End this process soon after its parent, even while a compiler loops."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


if __name__ == "__main__":
    main()
