"""How long does each call of a running network take, microseconds apart?

A network that was compiled ahead stamps the time itself, where one call ends and the next begins.

TVM's virtual machine, which runs the others, calls an instrument before and after each call. A
first run with an instrument in Python tells which calls there are and on what data; the runs that
count have one in C, which only stamps the time.

Either way kernels are timed in the network's order, on its real data and with the caches as their
predecessors left them: a kernel that is run over and over by itself finds its weights in the
nearest cache and seems up to twice as fast.

A call may make others: nodes that TVM imports are a function of the machine's, whose kernels are
called from within. Such a call's time is its own alone, without theirs, so all calls add up.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cmpc_cost_models.errors import BadNetworkFile
from cmpc_cost_models.profiling.native import NativeLibrary
from cmpc_cost_models.sites.executors import AheadOfTime, VirtualMachine
from cmpc_cost_models.sites.loaded import LoadedNetwork

__all__ = ["AheadStopwatch", "Call", "MachineStopwatch", "Run", "Stopwatch", "own_times_us"]

KEEP_GOING = 0  # VMInstrumentReturnKind.NO_OP


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One call of a network's.

    Attributes:
        symbol: The function; the machine's own have a dot, as in ``vm.builtin.alloc_storage``.
        parent: Which call made it, by its place in the list; ``None`` for the network's own.
        shapes: Of all tensors that it is given: those it reads, then those it writes.
        num_bytes: Of the same tensors.
    """

    symbol: str
    parent: int | None
    shapes: tuple[tuple[int, ...], ...]
    num_bytes: int


@dataclass(frozen=True, slots=True)
class Run:
    """What a network does in one run.

    Attributes:
        calls: Its C calls, in the order in which they begin.
        order: In which order they begin and end, int64 [2 C]: ``call + 1`` where it begins, the
            same negative where it ends.
    """

    calls: tuple[Call, ...]
    order: npt.NDArray[np.int64]


class Stopwatch(Protocol):
    """Times each call of one network; ``calls`` are those of one run, in order."""

    @property
    def calls(self) -> tuple[Call, ...]: ...

    def time_calls(self, num_runs: int) -> npt.NDArray[np.float64]:
        """Return the microseconds of each call in each of ``num_runs`` runs, float64 [R, C].

        Those of a call that makes others are its own, without theirs. One run before them counts
        for nothing.

        Raises:
            BadNetworkFile: a run makes other calls than the first one did.
        """


class AheadStopwatch:
    """Times a network that was compiled ahead, by the stamps that it writes itself."""

    def __init__(
        self, network: LoadedNetwork, executor: AheadOfTime, calls: tuple[Call, ...]
    ) -> None:
        self._network, self._executor = network, executor
        self.calls = calls

    def time_calls(self, num_runs: int) -> npt.NDArray[np.float64]:
        self._network.set_noise()
        stamps_RC1 = self._executor.stamps_ns(num_runs + 1, len(self.calls))[1:]
        return np.diff(stamps_RC1, axis=1) / 1e3


class MachineStopwatch:
    """Times a network in TVM's virtual machine."""

    def __init__(
        self, network: LoadedNetwork, executor: VirtualMachine, native: NativeLibrary
    ) -> None:
        import tvm_ffi

        self._network, self._executor = network, executor
        self._functions = native.functions
        self._instrument = tvm_ffi.load_module(str(native.path)).get_function("instrument")
        self._run = _listen(network, executor)

    @property
    def calls(self) -> tuple[Call, ...]:
        return self._run.calls

    def time_calls(self, num_runs: int) -> npt.NDArray[np.float64]:
        # One run more, since TVM's evaluator does one that it does not count.
        stamps = np.zeros(2 * len(self.calls) * (num_runs + 1), np.int64)
        self._functions.stopwatch_start(stamps.ctypes.data, stamps.size)
        with self._executor.instrumented(self._instrument):
            self._network.time_ms(num_runs)
        count = self._functions.stopwatch_count()
        return own_times_us(stamps, count, self._run)[-num_runs:]


def own_times_us(stamps: npt.NDArray[np.int64], count: int, run: Run) -> npt.NDArray[np.float64]:
    """Return what each call took by itself, in microseconds, float64 [R, C].

    Args:
        stamps: Nanoseconds, int64 [S]: positive where a call begins, negative where it ends.
        count: How many there were; more than S if some did not fit.

    Raises:
        BadNetworkFile: they are not those of whole runs.
    """
    num_runs, left = divmod(min(count, stamps.size), len(run.order))
    stamps_RE = stamps[: num_runs * len(run.order)].reshape(num_runs, -1)
    is_alike = bool((np.sign(stamps_RE) == np.sign(run.order)).all())
    if count > stamps.size or left or not is_alike:
        raise BadNetworkFile(
            f"a profile needs the same {len(run.calls)} calls in each run, "
            f"got {count / 2:g} calls in all, {'' if is_alike else 'others than in the first run'}"
        )
    ends = np.argsort(-run.order[run.order < 0])
    begins = np.argsort(run.order[run.order > 0])
    begin_RC = stamps_RE[:, run.order > 0][:, begins]
    end_RC = -stamps_RE[:, run.order < 0][:, ends]
    return _without_children((end_RC - begin_RC) / 1e3, run.calls)


def _without_children(
    duration_RC: npt.NDArray[np.float64], calls: tuple[Call, ...]
) -> npt.NDArray[np.float64]:
    own_RC = duration_RC.copy()
    for number, call in enumerate(calls):
        if call.parent is not None:
            own_RC[:, call.parent] -= duration_RC[:, number]
    return own_RC


def _listen(network: LoadedNetwork, executor: VirtualMachine) -> Run:
    """Run the network once and note what it calls."""
    calls: list[Call] = []
    order: list[int] = []
    running: list[int] = []

    def listen(_: object, symbol: str, before_run: bool, __: object, *arguments: Any) -> int:
        if before_run:
            running.append(len(calls))
            order.append(len(calls) + 1)
            parent = running[-2] if len(running) > 1 else None
            calls.append(_call(symbol, parent, arguments))
        else:
            order.append(-running.pop() - 1)
        return KEEP_GOING

    with executor.instrumented(listen):
        network.caller()()
    return Run(tuple(calls), np.array(order, np.int64))


def _call(symbol: str, parent: int | None, arguments: tuple[Any, ...]) -> Call:
    tensors = [one for one in arguments if hasattr(one, "shape") and hasattr(one, "dtype")]
    shapes = tuple(tuple(int(size) for size in one.shape) for one in tensors)
    widths = [np.dtype(str(one.dtype)).itemsize for one in tensors]
    num_bytes = sum(math.prod(shape) * width for shape, width in zip(shapes, widths, strict=True))
    return Call(symbol=symbol, parent=parent, shapes=shapes, num_bytes=num_bytes)
