"""What can this machine do at most? Arithmetic from registers, and bytes from each level of memory.

A table can't know: clocks rise and sink, and a virtual machine has neighbours. So the limits are
measured beside the network, on the same processors, each as the best of several short tries.
Memory is walked in blocks of several sizes, and the faster of reading and copying counts.
"""

import ctypes
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import numpy as np
import numpy.typing as npt

from cmpc_cost_models.models.limits import Bandwidth, Roofline
from cmpc_cost_models.profiling.native import NativeLibrary
from cmpc_cost_models.targets.system_calls import running_on
from cmpc_cost_models.targets.target import Target

__all__ = ["measure_roofline"]

TRY_SECONDS = 0.0004  # short: between two turns of a neighbour some tries are undisturbed
NUM_TRIES = 30
MAX_SECONDS = 0.2  # for all tries of one limit, where a single turn is longer than a try
LONGEST_WAIT_SECONDS = 60.0
LARGEST_BYTES = 256 << 20
BEYOND_CACHES = 4  # times the largest cache
LINE_BYTES = 64
ALIGNED = 1024  # a walk is a multiple of this: whole vectors, whole turns of the unrolled loops

TimedLoop = Callable[[int], float]  # turns -> seconds that they took


def measure_roofline(native: NativeLibrary, target: Target, cpus: Sequence[int]) -> Roofline:
    """Measure the limits of ``cpus`` together, one thread on each."""
    functions = native.functions
    together = Barrier(len(cpus), timeout=LONGEST_WAIT_SECONDS)
    with ThreadPoolExecutor(len(cpus)) as pool:

        def most(new_loop: Callable[[], TimedLoop], amount: float) -> float:
            """Return how much all threads do together in a second, ``amount`` in each turn."""
            return sum(
                pool.map(lambda cpu: amount * _turns_per_second(new_loop, cpu, together), cpus)
            )

        flops = most(lambda: _multiply_adds(functions), functions.peak_flops_per_turn())
        bandwidths = []
        for walked, holds in _levels(target, len(cpus)):
            reads = most(partial(_reads, functions, walked), walked)
            copies = most(partial(_copies, functions, walked), walked)
            bandwidths.append(Bandwidth(num_bytes=holds, gb_per_s=max(reads, copies) / 1e9))
    return Roofline(gflops=flops / 1e9, bandwidths=tuple(bandwidths), source="measured")


def _levels(target: Target, num_threads: int) -> list[tuple[int, int]]:
    """Return for each level the bytes that a thread walks over, and those that all may use of it.

    A walk takes half of a cache, since it has to share with what else is there. The outermost
    cache is taken to be shared by all threads, the others to be each thread's own.
    """
    caches = target.cache_bytes
    own = [size for size in (caches.l1, caches.l2) if size]
    levels = [(size // 2, size * num_threads) for size in own]
    if caches.l3:
        levels.append((caches.l3 // 2 // num_threads, caches.l3))
    outside = min(LARGEST_BYTES, BEYOND_CACHES * max(*own, caches.l3)) // num_threads
    return [(walked // ALIGNED * ALIGNED, holds) for walked, holds in [*levels, (outside, outside)]]


def _multiply_adds(functions: ctypes.CDLL) -> TimedLoop:
    return lambda turns: float(functions.peak_multiply_add(turns, 0.5))


def _reads(functions: ctypes.CDLL, size: int) -> TimedLoop:
    data = _aligned(size)
    return lambda turns: float(functions.peak_read(data.ctypes.data, data.nbytes, turns))


def _copies(functions: ctypes.CDLL, size: int) -> TimedLoop:
    """Return a loop that reads one half of ``size`` bytes and writes the other."""
    source, copy = _aligned(size // 2), _aligned(size // 2)
    return lambda turns: float(
        functions.peak_copy(copy.ctypes.data, source.ctypes.data, source.nbytes, turns)
    )


def _aligned(size: int) -> npt.NDArray[np.uint8]:
    """Return ``size`` bytes that begin with a cache line, so that no vector lies across two."""
    memory = np.ones(size + LINE_BYTES, np.uint8)
    start = -memory.ctypes.data % LINE_BYTES
    return memory[start : start + size]


def _turns_per_second(new_loop: Callable[[], TimedLoop], cpu: int, together: Barrier) -> float:
    """Return the most turns a second of several tries on ``cpu``, begun by all at once."""
    with running_on([cpu]):
        loop, turns = new_loop(), 1
        while (seconds := min(loop(turns) for _ in range(3))) < TRY_SECONDS:
            turns = max(2 * turns, int(turns * TRY_SECONDS / max(seconds, 1e-7)))
        num_tries = max(3, min(NUM_TRIES, int(MAX_SECONDS / seconds)))
        together.wait()
        return max(turns / loop(turns) for _ in range(num_tries))
