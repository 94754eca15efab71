"""Run a compiled network in TVM's virtual machine: in this process, or wherever its module is.

Importing this file is light; the first network imports TVM, which takes seconds.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.sites.agreement import random_image

__all__ = ["LoadedNetwork", "ModuleNetwork"]

Float32Array = npt.NDArray[np.float32]


class ModuleNetwork:
    """A compiled network, ready to run where its module was loaded.

    Args:
        module: A module of TVM's, of this process or of a session with a device.
        device: Where its tensors are, as TVM names it.
    """

    def __init__(self, module: Any, device: Any, input_shape: Sequence[int]) -> None:
        import tvm
        from tvm import relax

        self._input_shape = tuple(input_shape)
        self._as_tensor = tvm.runtime.tensor
        self._device = device
        self._machine = relax.VirtualMachine(module, device)

    def run(self, inputs: Float32Array) -> Float32Array:
        """Return the network's answer to ``inputs``, which have exactly its input shape.

        Raises:
            BadArgument: they have another one, or are not float32.
        """
        if inputs.shape != self._input_shape or inputs.dtype != np.float32:
            raise BadArgument(
                f"the input must be float32 of shape {self._input_shape}, "
                f"got {inputs.dtype} of shape {inputs.shape}"
            )
        self._set_input(np.ascontiguousarray(inputs))
        self._machine.invoke_stateful("main")
        answer: Float32Array = self._machine.get_outputs("main").numpy()
        return answer

    def time_ms(self, num_runs: int) -> float:
        """Return the mean duration of ``num_runs`` runs on noise."""
        return self._loop_ms(runs_per_block=num_runs)[0]

    def single_ms(self, num_runs: int) -> list[float]:
        """Return the durations of ``num_runs`` runs on noise, each timed by itself."""
        return self._loop_ms(num_blocks=num_runs)

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
        self._set_input(random_image(self._input_shape))

    def _set_input(self, image: Float32Array) -> None:
        self._machine.set_input("main", self._as_tensor(image, self._device))

    def _loop_ms(self, *, runs_per_block: int = 1, num_blocks: int = 1) -> list[float]:
        """Return the mean duration of the runs of each block, on noise.

        The loop is TVM's own, in C++, and runs where the network does: Python costs microseconds a
        call, small networks hardly more. One run before it counts for nothing.
        """
        self._set_noise()
        evaluator = self._machine.time_evaluator(
            "invoke_stateful", self._device, number=runs_per_block, repeat=num_blocks
        )
        return [seconds * 1e3 for seconds in evaluator("main").results]


class LoadedNetwork(ModuleNetwork):
    """A compiled network, ready to run in this process."""

    def __init__(self, library: Path, input_shape: Sequence[int]) -> None:
        import tvm

        # An absolute path: the loader searches the system's folders for a bare name.
        module: Any = tvm.runtime.load_module(str(library.resolve()))
        super().__init__(module, tvm.cpu(), input_shape)
