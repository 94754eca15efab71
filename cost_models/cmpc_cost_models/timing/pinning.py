"""Which processors may the timed threads use? Each its own, for as long as it is timed.

A thread that moves to another core leaves its caches behind. TVM's pool can bind its threads
itself; it is told to which processors. Libraries that start threads of their own do so while the
process is ``running_on`` some: their threads then keep to the same processors.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cmpc_cost_models.targets.system_calls import running_on

__all__ = ["pinned"]

ONE_CORE_PER_THREAD = -2  # ThreadGroup::AffinityMode::kSpecifyOneCorePerThread of TVM's runtime


@contextmanager
def pinned(cpus: Sequence[int]) -> Iterator[None]:
    """Pin the calling thread to the first of ``cpus``, and TVM's pool to all, one thread each.

    With one processor TVM uses no pool.
    """
    with running_on(cpus):
        if len(cpus) > 1:
            _pin_pool(cpus)
        with running_on(cpus[:1]):
            yield


def _pin_pool(cpus: Sequence[int]) -> None:
    import tvm

    configure = tvm.get_global_func("runtime.config_threadpool")
    configure(ONE_CORE_PER_THREAD, len(cpus), [str(cpu) for cpu in cpus])
