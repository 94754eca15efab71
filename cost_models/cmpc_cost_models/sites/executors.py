"""What makes the calls of a loaded network: its own function, or TVM's virtual machine.

A library says itself which: one that was compiled ahead (``compiling.aot``) has the function. The
machine runs those with imported operators, and all that earlier versions compiled.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count, takewhile
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["AheadOfTime", "Executor", "VirtualMachine", "executor_of"]

RUN = "network_run"

Float32Array = npt.NDArray[np.float32]


class Executor(ABC):
    """Runs one network, whose module is in this process or on a device."""

    @abstractmethod
    def set_input(self, image: Float32Array) -> None:
        """Give the network float32 of exactly its input shape."""

    @abstractmethod
    def caller(self) -> Callable[[], object]:
        """Return a function that runs the network once on its input."""

    @abstractmethod
    def answer(self) -> Float32Array:
        """Return what the latest run answered."""

    @abstractmethod
    def seconds(self, *, runs_per_block: int, num_blocks: int) -> list[float]:
        """Return the mean duration of the runs of each block.

        The loop is TVM's own, in C++, and runs where the network does: Python costs microseconds a
        call, small networks hardly more. One run before it counts for nothing.
        """


class AheadOfTime(Executor):
    """Calls the one function that a network was compiled to.

    Args:
        module: A module of TVM's, which has the functions of ``compiling.aot``.
        device: Where its tensors are, as TVM names it.
    """

    def __init__(self, module: Any, device: Any, input_shape: Sequence[int]) -> None:
        from tvm.runtime import empty, tensor

        self._as_tensor, self._module, self._device = tensor, module, device
        self._run = module[RUN]
        size_of = module["network_answer_size"]
        answer_shape = takewhile(bool, map(size_of, count()))
        self._image = empty(tuple(input_shape), "float32", device)
        self._answer = empty(tuple(answer_shape), "float32", device)

    def set_input(self, image: Float32Array) -> None:
        self._image.copyfrom(image)

    def caller(self) -> Callable[[], object]:
        run, image, answer = self._run, self._image, self._answer
        return lambda: run(image, answer)

    def answer(self) -> Float32Array:
        answer: Float32Array = self._answer.numpy()
        return answer

    def seconds(self, *, runs_per_block: int, num_blocks: int) -> list[float]:
        evaluator = self._module.time_evaluator(
            RUN, self._device, number=runs_per_block, repeat=num_blocks
        )
        return list(evaluator(self._image, self._answer).results)

    def stamps_ns(self, num_runs: int, num_calls: int) -> npt.NDArray[np.int64]:
        """Return when each call of each run began and the last ended, int64 [R, C + 1]."""
        stamps = self._as_tensor(np.zeros((num_runs, num_calls + 1), np.int64), self._device)
        self._module["network_stamps"](self._image, self._answer, stamps)
        found: npt.NDArray[np.int64] = stamps.numpy()
        return found


class VirtualMachine(Executor):
    """Runs a network in TVM's virtual machine; for the arguments see ``AheadOfTime``."""

    def __init__(self, module: Any, device: Any) -> None:
        import tvm
        from tvm import relax

        self._as_tensor, self._device = tvm.runtime.tensor, device
        self._machine = relax.VirtualMachine(module, device)

    def set_input(self, image: Float32Array) -> None:
        self._machine.set_input("main", self._as_tensor(image, self._device))

    def caller(self) -> Callable[[], object]:
        invoke = self._machine["invoke_stateful"]
        return lambda: invoke("main")

    def answer(self) -> Float32Array:
        answer: Float32Array = self._machine.get_outputs("main").numpy()
        return answer

    def seconds(self, *, runs_per_block: int, num_blocks: int) -> list[float]:
        evaluator = self._machine.time_evaluator(
            "invoke_stateful", self._device, number=runs_per_block, repeat=num_blocks
        )
        return list(evaluator("main").results)

    @contextmanager
    def instrumented(self, instrument: Callable[..., int]) -> Iterator[None]:
        """Let the machine call ``instrument`` before and after each of its calls meanwhile."""
        self._machine.set_instrument(instrument)
        try:
            yield
        finally:
            self._machine.set_instrument(None)


def executor_of(module: Any, device: Any, input_shape: Sequence[int]) -> Executor:
    """Return what runs the network of a module, as the module says."""
    try:
        module[RUN]
    except AttributeError:
        return VirtualMachine(module, device)
    return AheadOfTime(module, device, input_shape)
