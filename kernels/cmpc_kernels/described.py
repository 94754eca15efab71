"""What every kind of index says of itself, from its settings and its dimension."""

import functools
from abc import ABC, abstractmethod

from cmpc_kernels.quantizer import QueryContract
from cmpc_kernels.settings import IndexSettings

__all__ = ["Described"]


class Described(ABC):
    """Base of the indexes."""

    @property
    @abstractmethod
    def settings(self) -> IndexSettings: ...

    @property
    @abstractmethod
    def dimension(self) -> int: ...

    @abstractmethod
    def __len__(self) -> int: ...

    def __repr__(self) -> str:
        what = f"{self.metric}, {self.settings.mode}, {self.settings.storage}"
        return f"<{type(self).__name__}: {len(self)} items, {self.dimension} dimensions, {what}>"

    @property
    def metric(self) -> str:
        return self.settings.metric

    @property
    def network_sha256(self) -> str | None:
        return self.settings.network_sha256

    @functools.cached_property
    def _contract(self) -> QueryContract:
        return QueryContract(
            dimension=self.dimension,
            metric=self.metric,
            unit_queries=self.settings.unit_queries,
            network_sha256=self.network_sha256,
        )

    def query_contract(self) -> QueryContract:
        """Return what queries must be; see ``QueryQuantizer``."""
        return self._contract
