"""Find the k nearest gallery items of each query, exactly.

Here arguments are checked and memory is allocated; the loops are in ``_compiled.py`` and their
definition, in plain NumPy, in ``reference.py``. The rules that those three share:

- An equal score keeps the lower id first.
- A zero row has no direction: its cosine with anything is 0.
- A pair without a score is no neighbour. NaN in a row makes every score of the row NaN; an
  infinite value counts as it computes: NaN under "cosine", an infinite distance under "l2",
  under "ip" an inner product of +inf (ranked first), -inf or NaN (never ranked).
- Slots that no item can fill, because k exceeds the gallery or pairs have no score, hold the
  id -1 and the worst score, as in FAISS.
- A pair's score depends on the two rows alone, not on their place, the batch or the threads.

Arithmetic is float32, its sums reassociated for SIMD. Parallelism is Numba's: set
NUMBA_NUM_THREADS or call ``numba.set_num_threads``. Several Python threads may search at once
under Numba's OpenMP and TBB layers, not under its "workqueue".
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from cmpc_kernels import _compiled
from cmpc_kernels._checks import check_count, check_metric, check_pair, check_rows
from cmpc_kernels.records import Neighbours

__all__ = ["compiled_rows", "threads_for", "topk", "unit_rows"]

CHUNK_VALUES = 1 << 20  # converted rows in flight: 4 MiB of float32, a second-level cache or two
MIN_THREAD_PRODUCTS = 1 << 20  # some 0.1 ms: for less, waking a thread costs more than it saves


def topk(
    queries: npt.NDArray[Any], gallery: npt.NDArray[Any], k: int, metric: str = "ip"
) -> Neighbours:
    """Return the ``k`` best gallery items of each query, best first.

    ``queries`` is float32 or float16 [Q, D], ``gallery`` the same [G, D]; strided and read-only
    arrays are fine. ``metric`` is "ip" (inner product, larger is nearer), "cosine" (larger) or
    "l2" (squared distance, smaller). "cosine" normalises the gallery at each call, piece by piece:
    for many calls keep a ``GalleryIndex``, which does it once.
    """
    check_metric(metric)
    num_kept = check_count(k)
    query_QD, gallery_GD = check_pair(queries, gallery)
    with threads_for(len(query_QD) * gallery_GD.size) as num_threads:
        score_QK, id_QK = _search(query_QD, gallery_GD, num_kept, metric, num_threads)
    # Inside, larger is always better: a distance travels with a minus.
    return Neighbours(scores=np.abs(score_QK) if metric == "l2" else score_QK, ids=id_QK)


def unit_rows(rows: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return float32 rows of length 1; zero rows stay zero, and infinite ones become NaN."""
    row_ND = compiled_rows(check_rows("rows", rows))
    unit_ND = np.empty(row_ND.shape, np.float32)
    _compiled.fill_unit_rows(row_ND, unit_ND)
    return compiled_rows(unit_ND)


def compiled_rows(row_ND: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the rows as the one array type that kernels compile for: C, aligned, read-only."""
    row_ND = np.require(row_ND, np.float32, ["C", "A"]).view()
    row_ND.flags.writeable = False
    return row_ND


def _search(
    query_QD: npt.NDArray[Any],
    gallery_GD: npt.NDArray[Any],
    num_kept: int,
    metric: str,
    num_threads: int,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return larger-is-better scores and ids [Q, K]; see ``_compiled.py`` for the plan."""
    is_cosine = metric == "cosine"
    query_QD = unit_rows(query_QD) if is_cosine else compiled_rows(query_QD)
    # Shards feed the threads that blocks of queries, when these are few, leave idle.
    is_sharded = len(query_QD) < 2 * num_threads * _compiled.QUERY_BLOCK
    score_SQK = np.full(
        (num_threads if is_sharded else 1, len(query_QD), num_kept), -np.inf, np.float32
    )
    id_SQK = np.full(score_SQK.shape, -1, np.int64)
    for first_id, row_GD in _pieces(gallery_GD, is_cosine=is_cosine):
        _compiled.scan_gallery(query_QD, row_GD, first_id, metric == "l2", score_SQK, id_SQK)
    _compiled.settle(score_SQK, id_SQK)
    return score_SQK[0], id_SQK[0]


@contextmanager
def threads_for(num_products: int) -> Iterator[int]:
    """Let Numba use only as many threads as the multiplications ahead are worth; yield how many."""
    num_threads: int = numba.get_num_threads()
    num_useful = max(1, min(num_threads, num_products // MIN_THREAD_PRODUCTS))
    numba.set_num_threads(num_useful)
    try:
        yield num_useful
    finally:
        numba.set_num_threads(num_threads)


def _pieces(
    gallery_GD: npt.NDArray[Any], *, is_cosine: bool
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Yield (id of the first row, float32 rows): whole, or in pieces when they must change."""
    flags = gallery_GD.flags
    is_ready = gallery_GD.dtype == np.float32 and flags.c_contiguous and flags.aligned
    if is_ready and not is_cosine:
        yield 0, compiled_rows(gallery_GD)
        return
    step = max(1, CHUNK_VALUES // gallery_GD.shape[1])
    for first_id in range(0, len(gallery_GD), step):
        piece = gallery_GD[first_id : first_id + step]
        yield first_id, unit_rows(piece) if is_cosine else compiled_rows(piece)
