"""How long does each call of a running network take, microseconds apart?

The virtual machine calls an instrument before and after each call. A first run with an instrument
in Python tells which calls there are and on what data; the runs that count have one in C, which
only stamps the time. So kernels are timed in the network's order, on its real data and with the
caches as their predecessors left them: a kernel that is run over and over by itself finds its
weights in the nearest cache and seems up to twice as fast.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_cost_models.errors import BadNetworkFile
from cmpc_cost_models.profiling.native import NativeLibrary
from cmpc_cost_models.running import LoadedNetwork

__all__ = ["Call", "Stopwatch"]

KEEP_GOING = 0  # VMInstrumentReturnKind.NO_OP


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One call of the virtual machine.

    Attributes:
        symbol: The function; the machine's own have a dot, as in ``vm.builtin.alloc_storage``.
        shapes: Of all tensors that it is given: those it reads, then those it writes.
        num_bytes: Of the same tensors.
    """

    symbol: str
    shapes: tuple[tuple[int, ...], ...]
    num_bytes: int


class Stopwatch:
    """Times each call of one network.

    Attributes:
        calls: What the network calls in one run, in order.
    """

    def __init__(self, network: LoadedNetwork, native: NativeLibrary) -> None:
        import tvm_ffi

        self._network = network
        self._functions = native.functions
        self._instrument = tvm_ffi.load_module(str(native.path)).get_function("instrument")
        self.calls = _list_calls(network)

    def time_calls(self, run: Callable[[], object], num_runs: int) -> npt.NDArray[np.float64]:
        """Return the microseconds of each call in each of ``num_runs`` runs, float64 [R, C].

        Args:
            run: Runs the network ``num_runs`` times, or more: only the last ones count.
        """
        # One run more, since TVM's evaluator does one that it does not count.
        stamps = np.zeros(2 * len(self.calls) * (num_runs + 1), np.int64)
        self._functions.stopwatch_start(stamps.ctypes.data, stamps.size)
        with self._network.instrumented(self._instrument):
            run()
        count = self._functions.stopwatch_count()
        return _durations_us(stamps, count, len(self.calls))[-num_runs:]


def _durations_us(
    stamps: npt.NDArray[np.int64], count: int, num_calls: int
) -> npt.NDArray[np.float64]:
    """Return durations [R, C] from stamps that are positive before a call, negative after it.

    Raises:
        BadNetworkFile: calls are nested, or each run makes others.
    """
    pairs = stamps[: min(count, stamps.size)].reshape(-1, 2)
    is_plain = bool((pairs[:, 0] > 0).all() and (pairs[:, 1] < 0).all())
    if count > stamps.size or len(pairs) % num_calls or not is_plain:
        raise BadNetworkFile(
            f"a profile needs {num_calls} calls in each run, one after the other, "
            f"got {count / 2:g} calls in all, {'' if is_plain else 'some inside others'}"
        )
    return (-pairs[:, 1] - pairs[:, 0]).reshape(-1, num_calls) / 1e3


def _list_calls(network: LoadedNetwork) -> list[Call]:
    calls: list[Call] = []

    def listen(_: object, symbol: str, before_run: bool, __: object, *arguments: Any) -> int:
        if before_run:
            tensors = [one for one in arguments if hasattr(one, "shape") and hasattr(one, "dtype")]
            shapes = tuple(tuple(int(size) for size in one.shape) for one in tensors)
            widths = [np.dtype(str(one.dtype)).itemsize for one in tensors]
            num_bytes = sum(
                math.prod(shape) * width for shape, width in zip(shapes, widths, strict=True)
            )
            calls.append(Call(symbol=symbol, shapes=shapes, num_bytes=num_bytes))
        return KEEP_GOING

    with network.instrumented(listen):
        network.caller()()
    return calls
