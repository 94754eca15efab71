"""Run a compiled network in this process, through TVM's virtual machine.

Importing this file is light; the first ``LoadedNetwork`` imports TVM, which takes seconds.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.sites.agreement import random_image

__all__ = ["LoadedNetwork", "loop_ms"]

Float32Array = npt.NDArray[np.float32]


class LoadedNetwork:
    """A compiled network, ready to run."""

    def __init__(self, library: Path, input_shape: Sequence[int]) -> None:
        import tvm
        from tvm import relax

        self._input_shape = tuple(input_shape)
        self._as_tensor = tvm.runtime.tensor
        self._device = tvm.cpu()
        # An absolute path: the loader searches the system's folders for a bare name.
        module: Any = tvm.runtime.load_module(str(library.resolve()))
        self._machine = relax.VirtualMachine(module, self._device)

    def run(self, inputs: Float32Array) -> Float32Array:
        """Return the network's answer to ``inputs``, which have exactly its input shape."""
        if inputs.shape != self._input_shape or inputs.dtype != np.float32:
            raise BadArgument(
                f"the input must be float32 of shape {self._input_shape}, "
                f"got {inputs.dtype} of shape {inputs.shape}"
            )
        tensor = self._as_tensor(np.ascontiguousarray(inputs), self._device)
        answer: Float32Array = self._machine["main"](tensor).numpy()
        return answer

    def time_ms(self, num_runs: int) -> float:
        """Return the mean duration of ``num_runs`` runs on noise."""
        self._set_noise()
        return loop_ms(self._machine, self._device, runs_per_block=num_runs)[0]

    def single_ms(self, num_runs: int) -> list[float]:
        """Return the durations of ``num_runs`` runs on noise, each timed by itself."""
        self._set_noise()
        return loop_ms(self._machine, self._device, num_blocks=num_runs)

    def caller(self) -> Callable[[], object]:
        """Return a function that runs once on noise, as a program in Python would."""
        self._set_noise()
        invoke = self._machine["invoke_stateful"]
        return lambda: invoke("main")

    @contextmanager
    def instrumented(self, instrument: Callable[..., int]) -> Iterator[None]:
        """Let the machine call ``instrument`` before and after each of its calls meanwhile."""
        self._machine.set_instrument(instrument)
        try:
            yield
        finally:
            self._machine.set_instrument(None)

    def _set_noise(self) -> None:
        noise = random_image(self._input_shape)
        self._machine.set_input("main", self._as_tensor(noise, self._device))


def loop_ms(
    machine: Any, device: Any, *, runs_per_block: int = 1, num_blocks: int = 1
) -> list[float]:
    """Return the mean duration of the runs of each block, on the input that was set.

    The loop is TVM's own, in C++, and runs where ``device`` is: Python costs microseconds a call,
    small networks hardly more. One run before it counts for nothing.

    Args:
        machine: A virtual machine of TVM's.
    """
    evaluator = machine.time_evaluator(
        "invoke_stateful", device, number=runs_per_block, repeat=num_blocks
    )
    return [seconds * 1e3 for seconds in evaluator("main").results]
