"""Run a compiled network: in this process, or wherever its module is.

Importing this file is light; the first network imports TVM, which takes seconds.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.sites.agreement import random_image
from cmpc_cost_models.sites.executors import executor_of

__all__ = ["LoadedNetwork", "ModuleNetwork"]

Float32Array = npt.NDArray[np.float32]


class ModuleNetwork:
    """A compiled network, ready to run where its module was loaded.

    Args:
        module: A module of TVM's, of this process or of a session with a device.
        device: Where its tensors are, as TVM names it.

    Attributes:
        executor: What makes its calls.
    """

    def __init__(self, module: Any, device: Any, input_shape: Sequence[int]) -> None:
        self._input_shape = tuple(input_shape)
        self.executor = executor_of(module, device, self._input_shape)

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
        self.executor.set_input(np.ascontiguousarray(inputs))
        self.executor.caller()()
        return self.executor.answer()

    def time_ms(self, num_runs: int) -> float:
        """Return the mean duration of ``num_runs`` runs on noise."""
        return self._loop_ms(runs_per_block=num_runs)[0]

    def single_ms(self, num_runs: int) -> list[float]:
        """Return the durations of ``num_runs`` runs on noise, each timed by itself."""
        return self._loop_ms(num_blocks=num_runs)

    def caller(self) -> Callable[[], object]:
        """Return a function that runs once on noise, as a program in Python would."""
        self.set_noise()
        return self.executor.caller()

    def set_noise(self) -> None:
        """Let noise be its input."""
        self.executor.set_input(random_image(self._input_shape))

    def _loop_ms(self, *, runs_per_block: int = 1, num_blocks: int = 1) -> list[float]:
        self.set_noise()
        seconds = self.executor.seconds(runs_per_block=runs_per_block, num_blocks=num_blocks)
        return [one * 1e3 for one in seconds]


class LoadedNetwork(ModuleNetwork):
    """A compiled network, ready to run in this process."""

    def __init__(self, library: Path, input_shape: Sequence[int]) -> None:
        import tvm

        # An absolute path: the loader searches the system's folders for a bare name.
        module: Any = tvm.runtime.load_module(str(library.resolve()))
        super().__init__(module, tvm.cpu(), input_shape)
