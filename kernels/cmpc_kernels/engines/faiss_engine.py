"""Search with FAISS as with an index of ours, for galleries past brute force.

    kind      what it does                                       exact?   when
    flat      compares with every row                            yes      to check against
    ivf       compares with the rows of the nearest lists        no       millions of rows
    hnsw      walks a graph of near rows                         no       millions, a slow build

What comes back follows our conventions, not FAISS's: row numbers as ids, -1 and the worst score in
empty slots, "cosine" as the inner product of unit rows, squared distances under "l2". Equal scores
within an answer are put in order of their ids; which of several equal rows *enter* an answer at its
last place is FAISS's choice. From 20 queries on its flat "l2" computes |q|^2 + |g|^2 - 2<q, g>,
which cancels near zero.

FAISS is an extra (``pip install "cmpc[faiss]"``), loaded when an index is built. Papers: FAISS,
Douze et al. 2024 (arXiv 2401.08281); IVF, Sivic and Zisserman, ICCV 2003; HNSW, Malkov and Yashunin
2016 (arXiv 1603.09320).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cmpc_base.libraries import missing_library
from cmpc_kernels.checks import check_metric, check_rows
from cmpc_kernels.errors import BadArgument
from cmpc_kernels.gallery.ids import Ids
from cmpc_kernels.gallery.searchable import Searchable
from cmpc_kernels.nearest.similarity import compiled_rows, unit_rows
from cmpc_kernels.records import Neighbours

__all__ = ["KINDS", "FaissIndex", "FaissSettings", "load_faiss"]

KINDS = ("flat", "ivf", "hnsw")
MIN_ROWS_PER_LIST = 39  # fewer, and FAISS's k-means warns that its centroids mean little


@dataclass(frozen=True, kw_only=True, slots=True)
class FaissSettings:
    """How hard the approximate kinds try; "flat" reads none of it.

    Attributes:
        num_lists: "ivf": lists that the gallery is divided into; None for about four times the
            square root of the number of rows, as FAISS's guidelines say.
        num_probes: "ivf": lists that a query visits.
        num_links: "hnsw": links of each row in the graph.
        build_effort, search_effort: "hnsw": candidates kept while building (efConstruction) and
            searching (efSearch).
    """

    num_lists: int | None = None
    num_probes: int = 16
    num_links: int = 32
    build_effort: int = 200
    search_effort: int = 64

    def __post_init__(self) -> None:
        for name in ("num_lists", "num_probes", "num_links", "build_effort", "search_effort"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BadArgument(f"{name} must be at least 1, got {value}")


class FaissIndex(Searchable):
    """A gallery inside FAISS, made with ``build``; ``native`` is the FAISS index itself.

    A query with a NaN or infinite value finds nothing, "hnsw" with ``allow`` may return fewer items
    than it could, and ``num_threads`` is by default FAISS's.
    """

    def __init__(
        self, native: Any, kind: str, metric: str, settings: FaissSettings, network: str | None
    ) -> None:
        self.native, self.kind, self.settings = native, kind, settings
        self._metric, self._network_sha256 = metric, network

    @classmethod
    def build(
        cls,
        embeddings: npt.NDArray[Any],
        metric: str = "ip",
        *,
        kind: str = "flat",
        settings: FaissSettings | None = None,
        network_sha256: str | None = None,
    ) -> Self:
        """Index float32 or float16 embeddings [G, D]; ids are their row numbers.

        Raises:
            BadArgument: the rows are not finite, or a name is unknown.
            MissingLibrary: FAISS is not installed.
        """
        check_metric(metric)
        if kind not in KINDS:
            raise BadArgument.among(KINDS, "kind", kind)
        row_GD = check_rows("embeddings", embeddings)
        if not np.isfinite(row_GD).all():
            raise BadArgument("embeddings must be finite, got NaN or infinite values; drop them")
        row_GD = unit_rows(row_GD) if metric == "cosine" else compiled_rows(row_GD)
        settings = settings or FaissSettings()
        native = _native_index(load_faiss(), row_GD, metric, kind, settings)
        native.add(row_GD)
        return cls(native, kind, metric, settings, network_sha256)

    def __len__(self) -> int:
        return int(self.native.ntotal)

    def __repr__(self) -> str:
        what = f"{self.metric}, {self.kind}"
        return f"<{type(self).__name__}: {len(self)} items, {self.dimension} dimensions, {what}>"

    @property
    def metric(self) -> str:
        return self._metric

    @property
    def network_sha256(self) -> str | None:
        return self._network_sha256

    @property
    def dimension(self) -> int:
        """Values of an embedding."""
        return int(self.native.d)

    @property
    def ids(self) -> npt.NDArray[np.int64]:
        """The numbers of the rows, int64 [items]."""
        return np.arange(len(self))

    def search_unrounded(
        self,
        query_QD: npt.NDArray[Any],
        num_kept: int,
        *,
        allow: npt.ArrayLike | None,
        num_threads: int | None,
    ) -> Neighbours:
        """Return what ``search`` does; FAISS's scores are float32 from the start."""
        is_finite_Q = np.asarray(np.isfinite(query_QD).all(axis=1))
        query_QD = compiled_rows(np.where(is_finite_Q[:, np.newaxis], query_QD, np.float32(0)))
        if self.metric == "cosine":
            query_QD = unit_rows(query_QD)
        parameters = self._parameters(allow)
        with _threads_of_faiss(num_threads):
            score_QK, id_QK = self.native.search(query_QD, num_kept, params=parameters)
        id_QK[~is_finite_Q] = -1
        return _best_first(score_QK.astype(np.float64), id_QK, is_distance=self.metric == "l2")

    def _parameters(self, allow: npt.ArrayLike | None) -> Any:
        """Return FAISS's parameters of one search; the selector lives as long as they do."""
        faiss = load_faiss()
        options: dict[str, Any] = {}
        mask_G = Ids(len(self)).mask(allow)
        if mask_G is not None:
            options["sel"] = faiss.IDSelectorBitmap(np.packbits(mask_G, bitorder="little"))
        if self.kind == "ivf":
            return faiss.SearchParametersIVF(nprobe=self.settings.num_probes, **options)
        if self.kind == "hnsw":
            return faiss.SearchParametersHNSW(efSearch=self.settings.search_effort, **options)
        return faiss.SearchParameters(**options)


@contextmanager
def _threads_of_faiss(num_threads: int | None) -> Iterator[None]:
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


def load_faiss() -> Any:
    """Return the module ``faiss``, or say how to get it."""
    try:
        import faiss  # an extra, and slow to load: only where it is used
    except ImportError as error:
        raise missing_library("faiss", "an index of FAISS's") from error
    return faiss


def _native_index(
    faiss: Any, row_GD: npt.NDArray[np.float32], metric: str, kind: str, settings: FaissSettings
) -> Any:
    """Return an empty FAISS index of the kind, trained if it must be."""
    dimension = row_GD.shape[1]
    metric_type = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
    if kind == "flat":
        return faiss.IndexFlat(dimension, metric_type)
    if kind == "hnsw":
        graph = faiss.IndexHNSWFlat(dimension, settings.num_links, metric_type)
        graph.hnsw.efConstruction = settings.build_effort
        return graph
    num_lists = settings.num_lists or max(
        1, min(int(4 * len(row_GD) ** 0.5), len(row_GD) // MIN_ROWS_PER_LIST)
    )
    if num_lists > len(row_GD):
        raise BadArgument(
            f"num_lists must be at most the number of rows, got {num_lists} lists for "
            f"{len(row_GD)} rows; use kind='flat' for a small gallery"
        )
    coarse = faiss.IndexFlat(dimension, metric_type)
    lists = faiss.IndexIVFFlat(coarse, dimension, num_lists, metric_type)
    lists.cp.min_points_per_centroid = 1  # the caller's choice of lists: no warning to stderr
    lists.train(row_GD)
    return lists


def _best_first(
    score_QK: npt.NDArray[Any], id_QK: npt.NDArray[np.int64], *, is_distance: bool
) -> Neighbours:
    """Turn FAISS's answer into ours: empty slots worst, equal scores by id."""
    badness_QK = score_QK if is_distance else -score_QK
    badness_QK = np.where(id_QK < 0, np.inf, badness_QK)
    order_QK = np.lexsort((id_QK, badness_QK), axis=-1)
    badness_QK = np.take_along_axis(badness_QK, order_QK, axis=1)
    return Neighbours(
        scores=badness_QK if is_distance else -badness_QK,
        ids=np.take_along_axis(id_QK, order_QK, axis=1),
    )
