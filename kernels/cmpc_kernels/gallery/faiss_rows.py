"""Rows that FAISS finds: approximate, for galleries past a search through all of them.

    ivf     compares with the rows of the nearest lists
    hnsw    walks a graph of near rows: faster, takes longer to build and more memory

The rows are kept as they came; lists or graph are made when a search or a file first needs them,
and rows that came since are put in then. FAISS holds a copy of the rows in memory meanwhile. How
much of the exact answer is found is a matter of the embeddings and of ``IndexSettings.effort``:
measure it (``measure_recall``).

Scores are FAISS's, in float32; equal ones stand in order of their ids. A query that gets fewer
items than there are, because a filter lets few through or ``k`` is large, is answered exactly; so
is one that is too long for float32.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cmpc_kernels.errors import BadArgument
from cmpc_kernels.gallery.chunks import Chunks, EmbeddingSource
from cmpc_kernels.gallery.columns import Array, Columns
from cmpc_kernels.gallery.faiss_structures import (
    Graph,
    InvertedLists,
    Structure,
    load_faiss,
)
from cmpc_kernels.gallery.row_store import RowStore, check_dimension
from cmpc_kernels.gallery.settings import IndexSettings
from cmpc_kernels.nearest.similarity import compiled_rows, topk, unit_rows
from cmpc_kernels.records import Neighbours

__all__ = ["FaissRows"]

MAX_LENGTH = 1e18  # of rows and queries whose squares and products float32 can hold
STRUCTURES: dict[str, type[Structure]] = {"ivf": InvertedLists, "hnsw": Graph}


class FaissRows(RowStore):
    """The embeddings of an index, float32, that FAISS searches.

    ``stored`` are the arrays of a structure of the first ``num_stored`` rows; none where it is yet
    to be made. A query with a NaN or infinite value finds nothing.
    """

    def __init__(
        self, settings: IndexSettings, row_GD: Array, stored: dict[str, Array] | None = None
    ) -> None:
        self.settings, self._rows = settings, Columns({"rows": row_GD})
        self._stored, self._num_stored = stored or {}, len(row_GD)
        self._native: Any = None
        self._lock = Lock()  # several threads may be the first to search

    @classmethod
    def encode_all(
        cls, settings: IndexSettings, embeddings: EmbeddingSource, dimension: int | None = None
    ) -> Self:
        """Keep embeddings; see ``RowStore``.

        Raises:
            BadArgument: a row is so long that FAISS, which computes in float32, can't compare it.
            MissingLibrary: FAISS is not installed.
        """
        load_faiss()
        chunks, kept = Chunks.of(embeddings), None
        for chunk_ND in chunks:
            check_dimension(chunk_ND.shape[1], dimension)
            if kept is None:
                kept = cls(settings, np.empty((0, chunk_ND.shape[1]), np.float32))
                kept._rows.reserve(chunks.num_rows or 0)
            check_lengths(chunk_ND, settings.metric)
            kept._rows.append({"rows": chunk_ND.astype(np.float32, copy=False)})
        assert kept is not None, "chunks end with an error if there is none"
        return kept

    @classmethod
    def from_arrays(
        cls, settings: IndexSettings, arrays: dict[str, Array], num_rows: int, dimension: int
    ) -> Self:
        """Take up arrays; see ``RowStore``. FAISS takes them up with the first search."""
        stored = dict(arrays)
        row_GD = stored.pop("rows", np.empty(0))
        shapes = {name: (array.dtype, array.shape) for name, array in stored.items()}
        is_whole = STRUCTURES[settings.mode].fits(shapes, num_rows) or not (stored or num_rows)
        if row_GD.dtype != np.float32 or row_GD.shape != (num_rows, dimension) or not is_whole:
            raise BadArgument("its arrays must be those that its settings name")
        return cls(settings, row_GD, stored)

    def arrays(self) -> dict[str, Array]:
        """Return rows and structure; one that was opened and not changed since as it was."""
        if self._stored and self._num_stored == len(self):
            return self._rows.arrays() | self._stored
        if not len(self):
            return self._rows.arrays()
        return self._rows.arrays() | self._structure().arrays(self._served())

    def __len__(self) -> int:
        return self._rows.num_rows

    @property
    def dimension(self) -> int:
        return int(self.row_GD.shape[1])

    @property
    def row_GD(self) -> npt.NDArray[Any]:
        return self._rows["rows"]

    def reserve(self, num_rows: int) -> None:
        self._rows.reserve(num_rows)

    def append(self, other: Self) -> None:
        self._rows.append(other._rows.arrays())

    def take(self, positions: npt.NDArray[np.int64]) -> Self:
        return type(self)(self.settings, self.row_GD[positions])

    def recoded(self) -> Self:
        return type(self)(self.settings, self.row_GD)

    def search(
        self,
        query_QD: npt.NDArray[Any],
        num_kept: int,
        *,
        allow: npt.NDArray[np.bool_] | None,
        num_threads: int | None,
        floor: npt.NDArray[np.float64] | None = None,
    ) -> Neighbours:
        """Return positions and scores; ``floor``, of what need not be found, saves nothing here."""
        num_items = len(self) if allow is None else np.count_nonzero(allow)
        is_finite_Q = np.isfinite(query_QD).all(axis=1) & (num_items > 0)
        is_asked_Q = is_finite_Q & ~are_too_long(query_QD, self.settings.metric)
        score_QK = np.zeros((len(query_QD), num_kept))
        id_QK = np.full(score_QK.shape, -1)
        with threads_of_faiss(num_threads):
            if (asked := np.flatnonzero(is_asked_Q)).size:
                found = self._search_natively(query_QD[asked], num_kept, allow)
                score_QK[asked], id_QK[asked] = found
        is_short_Q = id_QK[:, max(0, min(num_kept, num_items) - 1)] < 0
        if (short := np.flatnonzero(is_finite_Q & is_short_Q)).size:
            exact = self._search_exactly(query_QD[short], num_kept, allow, num_threads)
            score_QK[short], id_QK[short] = exact.scores, exact.ids
        return best_first(score_QK, id_QK, self.settings.metric)

    def _search_natively(
        self, query_QD: npt.NDArray[Any], num_kept: int, allow: npt.NDArray[np.bool_] | None
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Return FAISS's scores and positions; the selector lives as long as the parameters."""
        options: dict[str, Any] = {}
        if allow is not None:
            options["sel"] = load_faiss().IDSelectorBitmap(np.packbits(allow, bitorder="little"))
        assert self.settings.effort is not None, "settings give these modes a default"
        parameters = self._structure().parameters(self.settings.effort, **options)
        query_QD = self._comparable(query_QD)
        scores, ids = self._served().search(query_QD, num_kept, params=parameters)
        return scores, ids

    def _search_exactly(
        self,
        query_QD: npt.NDArray[Any],
        num_kept: int,
        allow: npt.NDArray[np.bool_] | None,
        num_threads: int | None,
    ) -> Neighbours:
        """Compare with every row that may be found."""
        row_GD, metric = self.row_GD, self.settings.metric
        position_N = np.arange(len(row_GD)) if allow is None else np.flatnonzero(allow)
        found = topk(
            query_QD,
            row_GD if allow is None else row_GD[position_N],
            num_kept,
            metric,
            num_threads=num_threads,
            in_float64=True,
        )
        return Neighbours(scores=found.scores, ids=np.append(position_N, -1)[found.ids])

    def _structure(self) -> Structure:
        return STRUCTURES[self.settings.mode](self.dimension, self.settings.metric)

    def _served(self) -> Any:
        """Return the FAISS index, with all rows in it."""
        with self._lock:
            if self._native is None and self._stored:
                known_GD = self._comparable_rows(0, self._num_stored)
                self._native = self._structure().restored(self._stored, known_GD)
            elif self._native is None:
                self._native = self._structure().made(self._comparable_rows(0, len(self)))
            if self._native.ntotal < len(self):
                self._native.add(self._comparable_rows(self._native.ntotal, len(self)))
            return self._native

    def _comparable_rows(self, first: int, last: int) -> npt.NDArray[np.float32]:
        check_lengths(self.row_GD[first:last], self.settings.metric)  # a file may hold any
        return self._comparable(self.row_GD[first:last])

    def _comparable(self, row_ND: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return rows or queries whose inner products or distances are the scores."""
        return unit_rows(row_ND) if self.settings.metric == "cosine" else compiled_rows(row_ND)


@contextmanager
def threads_of_faiss(num_threads: int | None) -> Iterator[None]:
    """Let FAISS use this many threads; the setting is the process's, so it is put back."""
    if num_threads is None:
        yield
        return
    if num_threads < 1:
        raise BadArgument(f"num_threads must be at least 1, got {num_threads}; None is for all")
    faiss = load_faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(num_threads)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def are_too_long(row_ND: npt.NDArray[Any], metric: str) -> npt.NDArray[np.bool_]:
    """Say of each row whether sums of its squares may be more than float32 holds, bool [N]."""
    if metric == "cosine":  # compared at length 1
        return np.zeros(len(row_ND), np.bool_)
    limit = MAX_LENGTH / row_ND.shape[1] ** 0.5
    too_large_N: npt.NDArray[np.bool_] = np.abs(row_ND).max(axis=1, initial=0) > limit
    return too_large_N


def check_lengths(row_ND: npt.NDArray[Any], metric: str) -> None:
    """Refuse rows that FAISS can't compare: its k-means would end the process."""
    if are_too_long(row_ND, metric).any():
        raise BadArgument(
            f"values of embeddings must lie within {MAX_LENGTH:g} / sqrt(dimension) for FAISS, got "
            f"{np.abs(row_ND).max():.4g}; scale them, or leave the engine to cmpc"
        )


def best_first(score_QK: npt.NDArray[Any], id_QK: npt.NDArray[np.int64], metric: str) -> Neighbours:
    """Turn FAISS's answer into ours: empty slots last and worst, equal scores by id."""
    badness_QK = np.where(id_QK < 0, np.inf, score_QK if metric == "l2" else -score_QK)
    order_QK = np.lexsort((id_QK, badness_QK, id_QK < 0), axis=-1)
    badness_QK = np.take_along_axis(badness_QK, order_QK, axis=1)
    return Neighbours(
        scores=badness_QK if metric == "l2" else -badness_QK,
        ids=np.take_along_axis(id_QK, order_QK, axis=1),
    )
