"""How does ONNX Runtime do on the same network, on the same processors, in the same moment?

Both run in one process, block by block in turn, each called from Python once a run with its input
in place: what Python adds, it adds to both. Each pair of neighbouring blocks gives one ratio, and
their median is the answer; a clock that changes, or a neighbour that wakes, hits both of a pair.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cmpc_cost_models.sites.agreement import random_image
from cmpc_cost_models.timing.blocks import Runner

__all__ = ["RIVALS", "onnxruntime_caller", "repeated", "settled"]

RIVALS = ("onnxruntime",)
# With more than one thread both keep their idle threads awake for some milliseconds, ready for
# the next call; the other's block begins when they sleep.
SLEEP_SECONDS = 0.06
CALLS_TO_WAKE = 3


def onnxruntime_caller(
    onnx_path: Path, input_shape: Sequence[int], *, num_threads: int
) -> Callable[[], object]:
    """Return a function that runs the network once on noise in ONNX Runtime, as fast as it can."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session: Any = onnxruntime.InferenceSession(
        str(onnx_path), options, providers=["CPUExecutionProvider"]
    )
    binding = session.io_binding()
    binding.bind_cpu_input(session.get_inputs()[0].name, random_image(input_shape))
    for output in session.get_outputs():
        binding.bind_output(output.name)
    return lambda: session.run_with_iobinding(binding)


def repeated(call: Callable[[], object]) -> Runner:
    """Return a runner that times calls from Python, and their mean in ms."""

    def run(num_runs: int) -> float:
        start = time.perf_counter()
        for _ in range(num_runs):
            call()
        return (time.perf_counter() - start) / num_runs * 1e3

    return run


def settled(call: Callable[[], object], runner: Runner, *, num_threads: int) -> Runner:
    """Return ``runner`` with what has to happen before its blocks, so that others leave no trace.

    Args:
        call: What it runs, once.
    """

    def run(num_runs: int) -> float:
        if num_threads > 1:
            time.sleep(SLEEP_SECONDS)
        for _ in range(CALLS_TO_WAKE):
            call()
        return runner(num_runs)

    return run
