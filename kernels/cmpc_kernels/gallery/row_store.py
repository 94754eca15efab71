"""What an index asks of whatever keeps its embeddings: they are found by their position.

mode "exact", "codes"    EncodedRows    encoding.py      our own codes
mode "ivf", "hnsw"       FaissRows      faiss_rows.py    rows, and lists or a graph of FAISS's
"""

from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cmpc_kernels.errors import BadArgument
from cmpc_kernels.gallery.chunks import EmbeddingSource
from cmpc_kernels.gallery.columns import Array
from cmpc_kernels.gallery.settings import IndexSettings
from cmpc_kernels.nearest.codes import RowCodes
from cmpc_kernels.records import Neighbours

__all__ = ["RowStore", "check_dimension"]


class RowStore(ABC):
    """Base of what keeps embeddings."""

    settings: IndexSettings

    @classmethod
    @abstractmethod
    def encode_all(
        cls, settings: IndexSettings, embeddings: EmbeddingSource, dimension: int | None = None
    ) -> Self:
        """Take up embeddings a piece at a time, all of the given dimension if there is one."""

    @classmethod
    @abstractmethod
    def from_arrays(
        cls, settings: IndexSettings, arrays: dict[str, Array], num_rows: int, dimension: int
    ) -> Self:
        """Take up the arrays that ``arrays`` returned; nothing is copied.

        Raises:
            BadArgument: these are not the arrays that the settings ask for.
        """

    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """Return all arrays, read-only, to be stored."""

    @abstractmethod
    def __len__(self) -> int:
        """Count the rows."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Values of an embedding."""

    @property
    @abstractmethod
    def row_GD(self) -> npt.NDArray[Any] | None:
        """The rows, float32 or float16 [G, D], or None where only codes are kept."""

    @property
    def codes(self) -> RowCodes | None:
        """The codes of the rows, or None where FAISS searches."""
        return None

    @abstractmethod
    def reserve(self, num_rows: int) -> None:
        """Make room, so that appending up to ``num_rows`` moves nothing."""

    @abstractmethod
    def append(self, other: Self) -> None:
        """Put the rows of another behind the last one."""

    @abstractmethod
    def take(self, positions: npt.NDArray[np.int64]) -> Self:
        """Return a copy with the rows at these positions."""

    @abstractmethod
    def recoded(self) -> Self:
        """Return a copy whose codes are made anew of its rows.

        Raises:
            BadArgument: no rows are kept.
        """

    @abstractmethod
    def search(
        self,
        query_QD: npt.NDArray[Any],
        num_kept: int,
        *,
        allow: npt.NDArray[np.bool_] | None,
        num_threads: int | None,
        floor: npt.NDArray[np.float64] | None = None,
    ) -> Neighbours:
        """Return positions and scores, in float64, of the nearest rows; see ``search_exact``."""


def check_dimension(came: int, wanted: int | None) -> None:
    """Refuse embeddings of another dimension than those of the index."""
    if wanted is not None and came != wanted:
        raise BadArgument(
            f"embeddings must have the {wanted} dimensions of the index, got {came}; "
            f"embed them with its gallery network"
        )
