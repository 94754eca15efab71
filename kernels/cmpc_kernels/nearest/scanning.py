"""Find the nearest rows through their codes: exactly, or by the codes alone.

``search_exact`` reads every code and few rows. A code bounds its row's score from above (proof in
``compiled/encoders.py``); a row whose bound does not reach the k-th best score found so far cannot
be among the k best, and is never read. The others are scored in float64 from the stored row. So the
answer is that of a full float64 search, on every input; codes decide only how fast it comes.

``search_codes`` ranks by what the codes say, and there need be no rows: that saves memory, and of
8 bits no time. Its recall is a property of the data: measure it.

Ties go to the lower id, and slots that no row can fill hold the id -1 and the worst score, as in
``similarity.py``. Threads are Python's, over compiled loops that let go of the interpreter lock:
no OpenMP, so nothing that another library set is reset, and several threads may search at once.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cmpc_kernels.checks import check_count, check_metric, check_pair, check_rows
from cmpc_kernels.compiled.code_tiles import BATCH_BLOCKS, BATCH_QUERIES
from cmpc_kernels.compiled.heaps import merge_shards, round_scores
from cmpc_kernels.compiled.scans import scan_singly, scan_together, set_thresholds
from cmpc_kernels.errors import BadArgument
from cmpc_kernels.metrics import METRIC_NUMBERS
from cmpc_kernels.nearest.codes import RowCodes, plain_rows
from cmpc_kernels.nearest.scan_arguments import (
    ALL_ROWS,
    CodeArrays,
    GalleryRows,
    Heaps,
    QueryCodes,
    Scratch,
    is_batch,
    parts_of,
)
from cmpc_kernels.nearest.threads import num_useful_threads, run_parts
from cmpc_kernels.records import Neighbours

__all__ = ["neighbours", "search_codes", "search_exact"]

CACHED_BYTES = 1 << 22  # of codes that all threads may read again and again


def search_exact(
    queries: npt.NDArray[Any],
    rows: npt.NDArray[Any],
    codes: RowCodes,
    k: int,
    *,
    metric: str,
    allow: npt.NDArray[np.bool_] | None = None,
    num_threads: int | None = None,
    in_float64: bool = False,
    floor: npt.NDArray[np.float64] | None = None,
) -> Neighbours:
    """Return the ``k`` best rows of each query, best first, by their float64 scores.

    ``queries`` is float32 or float16 [Q, D], ``rows`` the same [G, D], ``codes`` those of the rows
    for this metric, with any number of bits. ``allow`` is bool [G]: which rows may be found.
    ``in_float64`` leaves the scores unrounded, for those who merge the answers of several parts.
    ``floor`` is float64 [Q], scores as returned: rows that are worse need not be found.
    """
    num_kept = check_count(k)
    query_QD, row_GD = check_pair(queries, rows)
    _check_codes(codes, metric, row_GD.shape)
    query = QueryCodes.of(query_QD, codes.bits)
    if floor is not None:
        set_thresholds(-floor if metric == "l2" else floor, query, METRIC_NUMBERS[metric])
    heaps = _scan(query, plain_rows(row_GD), codes, num_kept, metric, allow, num_threads)
    return neighbours(heaps, num_kept, metric, in_float64=in_float64)


def search_codes(
    queries: npt.NDArray[Any],
    codes: RowCodes,
    k: int,
    *,
    metric: str,
    allow: npt.NDArray[np.bool_] | None = None,
    num_threads: int | None = None,
    in_float64: bool = False,
) -> Neighbours:
    """Return the ``k`` best rows of each query, best first, by what the codes say of their scores.

    Arguments as in ``search_exact``; the scores are approximate, the order is theirs.
    """
    num_kept = check_count(k)
    query_QD = check_rows("queries", queries)
    _check_codes(codes, metric, (len(codes), query_QD.shape[1]))
    query = QueryCodes.of(query_QD, codes.bits, is_coarse=True)
    heaps = _scan(query, None, codes, num_kept, "ip", allow, num_threads)
    # The codes speak of <q, x>, <q, x> / |x| or <q, x> - |x|^2 / 2.
    length_Q1 = query.lengths[:, np.newaxis]
    if metric == "cosine":
        heaps.scores[:] /= np.where((length_Q1 > 0) & (length_Q1 < np.inf), length_Q1, 1)
    elif metric == "l2":
        heaps.scores[:] = -np.maximum(length_Q1**2 - 2 * heaps.scores, 0)
    heaps.scores[heaps.ids < 0] = -np.inf
    return neighbours(heaps, num_kept, metric, in_float64=in_float64)


def neighbours(heaps: Heaps, num_kept: int, metric: str, *, in_float64: bool = False) -> Neighbours:
    """Merge the shards, and return ``num_kept`` best, in float32, a distance without its minus."""
    num_queries, num_found = heaps.ids.shape[1:]
    if heaps.ids.size:
        merge_shards(*heaps)
    score_QK, id_QK = heaps.scores[0], heaps.ids[0]
    if num_kept > num_found:
        rest = (num_queries, num_kept - num_found)
        score_QK = np.hstack([score_QK, np.full(rest, -np.inf)])
        id_QK = np.hstack([id_QK, np.full(rest, -1, np.int64)])
    if metric == "l2":
        score_QK = np.abs(score_QK)
    if not in_float64:
        rounded_QK = np.empty(score_QK.shape, np.float32)
        round_scores(score_QK, rounded_QK)
        return Neighbours(scores=rounded_QK, ids=id_QK)
    return Neighbours(scores=score_QK, ids=id_QK)


def _scan(
    query: QueryCodes,
    row_GD: npt.NDArray[Any] | None,
    codes: RowCodes,
    num_kept: int,
    metric: str,
    allow: npt.NDArray[np.bool_] | None,
    num_threads: int | None,
) -> Heaps:
    """Scan in threads: each takes some of the queries, or some blocks with heaps of its own.

    Heaps that each see a part of the rows take more rows in, all together. So queries are divided
    where there are enough of them and codes are few enough to stay in a cache for all threads.
    """
    allow_G = ALL_ROWS if allow is None else _check_allow(allow, len(codes))
    num_parts = num_useful_threads(num_threads, codes.packed.size * len(query.rows))
    num_tiles = -(-len(query.rows) // BATCH_QUERIES)
    by_queries = num_tiles >= num_parts and codes.packed.size <= CACHED_BYTES
    num_shards = 1 if by_queries else num_parts
    heaps = Heaps.empty(num_shards, len(query.rows), min(num_kept, len(codes)))
    if not heaps.ids.size:
        return heaps

    arrays = CodeArrays.of(codes)
    stored = arrays if row_GD is None else row_GD
    gallery = GalleryRows(stored, 0, len(codes), allow_G, METRIC_NUMBERS[metric])
    scan = _Scan(arrays, gallery, query, heaps)
    if by_queries:
        run_parts(scan.tiles, num_tiles, num_parts)
    else:
        run_parts(scan.blocks, len(codes.packed), num_shards)
    return heaps


class _Scan(NamedTuple):
    """What threads share."""

    codes: CodeArrays
    gallery: GalleryRows
    query: QueryCodes
    heaps: Heaps

    def tiles(self, _: int, first_tile: int, last_tile: int) -> None:
        """Scan everything for some of the queries."""
        queries = range(first_tile * BATCH_QUERIES, last_tile * BATCH_QUERIES)
        for some in parts_of(queries, self.heaps.ids.shape[2]):
            self._scan(0, some, 0, len(self.codes.packed))

    def blocks(self, shard: int, first_block: int, last_block: int) -> None:
        """Scan some blocks for all queries."""
        for some in parts_of(range(self.heaps.ids.shape[1]), self.heaps.ids.shape[2]):
            self._scan(shard, some, first_block, last_block)

    def _scan(self, shard: int, some: slice, first_block: int, last_block: int) -> None:
        query, heaps = self.query.some(some), self.heaps.some(shard, some)
        middle, num_rows = first_block, self.gallery.stop
        if is_batch(len(query.rows)):
            middle = last_block - (last_block - first_block) % BATCH_BLOCKS
            scratch = Scratch.together(heaps, num_rows, query.codes.shape[1] // 4)
            scan_together(self.codes, first_block, middle, query, self.gallery, heaps, scratch)
        if middle < last_block:
            scratch = Scratch.singly(heaps, num_rows)
            scan_singly(self.codes, middle, last_block, query, self.gallery, heaps, scratch)


def _check_codes(codes: RowCodes, metric: str, shape: tuple[int, ...]) -> None:
    check_metric(metric)
    if metric != codes.metric:
        raise BadArgument(
            f"codes must be those of the metric, got codes for {codes.metric!r} and "
            f"metric={metric!r}; encode the rows again with metric={metric!r}"
        )
    if shape != (codes.num_rows, codes.dimension):
        raise BadArgument(
            f"codes must be those of the rows, and queries of their dimension, got codes of "
            f"{[codes.num_rows, codes.dimension]} and rows of {list(shape)}; encode these rows"
        )


def _check_allow(allow: npt.NDArray[np.bool_], num_rows: int) -> npt.NDArray[np.bool_]:
    if not isinstance(allow, np.ndarray) or allow.dtype != np.bool_ or allow.shape != (num_rows,):
        raise BadArgument(
            f"allow must be a bool array with one entry for each of the {num_rows} rows, got "
            f"{getattr(allow, 'dtype', type(allow).__name__)} {list(np.shape(allow))}"
        )
    return plain_rows(allow)
