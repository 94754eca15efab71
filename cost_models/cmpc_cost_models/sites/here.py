"""This machine: code runs in this process, on the processors that were leased for it."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Self

from cmpc_cost_models.sites.base import Site, SiteFacts
from cmpc_cost_models.sites.loaded import LoadedNetwork
from cmpc_cost_models.targets.machine import cpu_flags, own_fingerprint
from cmpc_cost_models.timing.conditions import Snapshot, take_snapshot
from cmpc_cost_models.timing.pinning import pinned

__all__ = ["HereSite", "own_facts"]


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
