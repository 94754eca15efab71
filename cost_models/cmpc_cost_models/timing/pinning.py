"""Which processors may the timed threads use? Each its own, for as long as it is timed.

A thread that moves to another core leaves its caches behind. TVM's pool can bind its threads
itself; it is told to which processors. Libraries that start threads of their own do so while the
process is ``confined``: their threads then keep to the same processors.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

__all__ = ["confined", "pinned"]

ONE_CORE_PER_THREAD = -2  # ThreadGroup::AffinityMode::kSpecifyOneCorePerThread of TVM's runtime


@contextmanager
def confined(cpus: Sequence[int]) -> Iterator[None]:
    """Let the calling thread, and threads that it starts meanwhile, run on ``cpus`` only.

    Afterwards the calling thread is as free as before; threads it started stay confined. Where the
    system pins nothing (macOS) they stay free, and conditions tell less.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@contextmanager
def pinned(cpus: Sequence[int]) -> Iterator[None]:
    """Pin the calling thread to the first of ``cpus``, and TVM's pool to all, one thread each.

    With one processor TVM uses no pool.
    """
    with confined(cpus):
        if len(cpus) > 1:
            _pin_pool(cpus)
        with confined(cpus[:1]):
            yield


def _pin_pool(cpus: Sequence[int]) -> None:
    import tvm

    configure = tvm.get_global_func("runtime.config_threadpool")
    configure(ONE_CORE_PER_THREAD, len(cpus), [str(cpu) for cpu in cpus])
