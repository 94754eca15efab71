"""This machine: code runs in this process, on the processors that were leased for it.

A thread that moves to another core leaves its caches behind. TVM's pool can bind its threads
itself; it is told to which processors. Libraries that start threads of their own do so while the
process is ``running_on`` some: their threads then keep to the same processors.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Self

from cmpc_cost_models.sites.base import Site, SiteFacts
from cmpc_cost_models.sites.loaded import LoadedNetwork
from cmpc_cost_models.targets.machine import cpu_flags, own_fingerprint
from cmpc_cost_models.targets.system_calls import running_on
from cmpc_cost_models.timing.conditions import Snapshot, take_snapshot

__all__ = ["HereSite", "own_facts", "pinned"]

ONE_CORE_PER_THREAD = -2  # ThreadGroup::AffinityMode::kSpecifyOneCorePerThread of TVM's runtime


def own_facts() -> SiteFacts:
    """Return what this machine tells of itself."""
    return SiteFacts(fingerprint=own_fingerprint(), features=cpu_flags())


class HereSite(Site):
    """This process.

    Args:
        cpus: A processor for each timed thread; none where nothing will be timed.
    """

    def __init__(self, cpus: Sequence[int] = ()) -> None:
        self._cpus = tuple(cpus)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        return cls(cpus=document["cpus"])

    def load(self, library: Path, input_shape: Sequence[int]) -> LoadedNetwork:
        return LoadedNetwork(library, input_shape)

    def load_kernels(self, executable: Any) -> tuple[Any, Any]:
        """Return the module as it is: LLVM's linker makes it runnable, and no file is written."""
        import tvm

        return executable.mod, tvm.cpu()

    def facts(self) -> SiteFacts:
        return own_facts()

    def prepared(self) -> AbstractContextManager[None]:
        return pinned(self._cpus) if self._cpus else nullcontext()

    def observe(self) -> Snapshot:
        return take_snapshot(self._cpus)


@contextmanager
def pinned(cpus: Sequence[int]) -> Iterator[None]:
    """Pin the calling thread to the first of ``cpus``, and TVM's pool to all, one thread each.

    With one processor TVM uses no pool.
    """
    with running_on(cpus):
        if len(cpus) > 1:
            import tvm

            configure = tvm.get_global_func("runtime.config_threadpool")
            configure(ONE_CORE_PER_THREAD, len(cpus), [str(cpu) for cpu in cpus])
        with running_on(cpus[:1]):
            yield
