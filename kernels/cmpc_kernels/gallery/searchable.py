"""What every kind of index does: search, and say what queries must be."""

import functools
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_kernels.checks import check_count
from cmpc_kernels.gallery.chunks import EmbeddingSource
from cmpc_kernels.gallery.merging import rounded
from cmpc_kernels.gallery.quantizer import QuantizedQueries, QueryContract
from cmpc_kernels.gallery.settings import IndexSettings
from cmpc_kernels.records import Neighbours

__all__ = ["KeptIndex", "Searchable"]


class Searchable(ABC):
    """Base of the indexes."""

    @property
    @abstractmethod
    def metric(self) -> str:
        """How it compares: "cosine", "ip" or "l2"."""

    @property
    @abstractmethod
    def network_sha256(self) -> str | None:
        """The gallery network whose embeddings it holds, if that is known."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Values of an embedding."""

    @property
    @abstractmethod
    def ids(self) -> npt.NDArray[np.int64]:
        """The ids of the items, int64 [items], ascending; names and labels come in this order."""

    @abstractmethod
    def __len__(self) -> int:
        """Count the items."""

    @abstractmethod
    def search_unrounded(
        self,
        query_QD: npt.NDArray[Any],
        num_kept: int,
        *,
        allow: npt.ArrayLike | None,
        num_threads: int | None,
    ) -> Neighbours:
        """Return what ``search`` does for queries that are checked, with scores in float64."""

    def stored_embeddings(self) -> EmbeddingSource | None:
        """Return the embeddings of the items in the order of ``ids``; None if none are kept."""
        return None

    def query_contract(self) -> QueryContract:
        """Return what queries must be; see ``QueryQuantizer``."""
        return self._contract

    def search(
        self,
        queries: npt.NDArray[Any] | QuantizedQueries,
        k: int,
        *,
        allow: npt.ArrayLike | None = None,
        network_sha256: str | None = None,
        num_threads: int | None = None,
    ) -> Neighbours:
        """Return the ``k`` nearest items of each query, best first, equal scores by lower id.

        Args:
            queries: float32 or float16 [Q, D], or int8 codes with their scales.
            k: Slots that no item can fill hold the id -1 and the worst score.
            allow: Only these may be found: bool [items] in the order of ``ids``, or ids. An id
                that is not in the index allows nothing.
            network_sha256: The gallery network that the queries were made compatible with.
            num_threads: By default as many as the machine has and the work is worth.

        Raises:
            BadArgument: the queries break the index's contract, or an argument is out of range.
        """
        query_QD = self._contract.prepare(queries, network_sha256)
        found = self.search_unrounded(
            query_QD, check_count(k), allow=allow, num_threads=num_threads
        )
        return rounded(found)

    @functools.cached_property
    def _contract(self) -> QueryContract:
        return QueryContract(
            dimension=self.dimension,
            metric=self.metric,
            unit_queries=self._wants_unit_queries,
            network_sha256=self.network_sha256,
        )

    @property
    def _wants_unit_queries(self) -> bool:
        return False


class KeptIndex(Searchable):
    """Base of the indexes of ours, which ``IndexSettings`` describe."""

    @property
    @abstractmethod
    def settings(self) -> IndexSettings:
        """How the index is made."""

    def __repr__(self) -> str:
        what = f"{self.metric}, {self.settings.mode}, {self.settings.storage}"
        return f"<{type(self).__name__}: {len(self)} items, {self.dimension} dimensions, {what}>"

    @property
    def metric(self) -> str:
        return self.settings.metric

    @property
    def network_sha256(self) -> str | None:
        return self.settings.network_sha256

    @property
    def _wants_unit_queries(self) -> bool:
        return self.settings.unit_queries
