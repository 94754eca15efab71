"""Split work among threads of our own: compiled loops let go of the interpreter lock.

Numba's parallel loops would do, but they bring a threading layer along: its OpenMP resets the
number of threads of every other library that shares the runtime (torch's, for one), and its
fallback ends the process when two Python threads search at once. A pool of plain threads does
neither. A sleeping thread takes some 0.1 ms to wake, so little work stays with the calling one.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba

from cmpc_kernels.errors import BadArgument

__all__ = ["num_useful_threads", "run_parts"]

MIN_THREAD_BYTES = 1 << 23  # some 0.3 ms of work: for less, waking a thread does not pay

_pool: ThreadPoolExecutor | None = None


def num_useful_threads(num_threads: int | None, num_bytes: int) -> int:
    """Return how many threads the bytes ahead are worth, at most those asked for.

    None asks for NUMBA_NUM_THREADS, by default the processors that this process may use.
    """
    if num_threads is None:
        num_threads = int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    elif isinstance(num_threads, bool) or not isinstance(num_threads, int) or num_threads < 1:
        raise BadArgument(f"num_threads must be an integer of at least 1, got {num_threads!r}")
    return max(1, min(num_threads, num_bytes // MIN_THREAD_BYTES))


def run_parts(run: Callable[[int, int, int], object], num_items: int, num_parts: int) -> None:
    """Call ``run(part, start, stop)`` for equal parts of the items, each in a thread."""
    if num_parts == 1:
        run(0, 0, num_items)
        return
    bounds = [num_items * part // num_parts for part in range(num_parts + 1)]
    waiting = [
        _threads().submit(run, part, bounds[part], bounds[part + 1]) for part in range(1, num_parts)
    ]
    run(0, bounds[0], bounds[1])
    for future in waiting:
        future.result()


def _threads() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(max(32, os.cpu_count() or 1), thread_name_prefix="cmpc_kernels")
    return _pool


def _forget_threads() -> None:
    """Threads do not survive a fork; the child makes its own."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
