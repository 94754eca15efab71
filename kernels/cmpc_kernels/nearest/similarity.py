"""Find the k nearest gallery items of each query, exactly.

Here arguments are checked and memory is allocated; the loops are in ``compiled/scans.py``, and
their definition, in plain NumPy, in ``reference.py``. The rules that those three share:

- An equal score keeps the lower id first.
- A zero row has no direction: its cosine with anything is 0.
- A pair without a score is no neighbour. NaN in a row makes every score of the row NaN; an
  infinite value counts as it computes: NaN under "cosine", an infinite distance under "l2",
  under "ip" an inner product of +inf (ranked first), -inf or NaN (never ranked).
- Slots that no item can fill, because k exceeds the gallery or pairs have no score, hold the
  id -1 and the worst score, as in FAISS.
- A pair's score depends on the two rows alone, not on their place, the batch, the threads or the
  processor: it is summed in float64 in one order (``reference.sum_in_lanes``), and rounded to
  float32 after the ranking. So all give the same ids, ties included.

Few queries are compared in float32, many through 8-bit codes that are made on the way, a piece of
the gallery at a time; both only say which rows need the exact score (``compiled/scans.py``).
For many calls on one gallery keep a ``GalleryIndex``, which keeps such codes.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_kernels.checks import check_count, check_metric, check_pair, check_rows
from cmpc_kernels.compiled.scans import scan_plain, scan_rows
from cmpc_kernels.compiled.scores import fill_unit_rows
from cmpc_kernels.metrics import METRIC_NUMBERS
from cmpc_kernels.nearest.codes import MAX_DIMENSION, plain_rows
from cmpc_kernels.nearest.scan_arguments import (
    ALL_ROWS,
    FloatRoom,
    GalleryRows,
    Heaps,
    QueryCodes,
    Scratch,
    TileRoom,
    parts_of,
)
from cmpc_kernels.nearest.scanning import neighbours
from cmpc_kernels.nearest.threads import num_useful_threads, run_parts
from cmpc_kernels.records import Neighbours

__all__ = ["compiled_rows", "topk", "unit_rows"]

CHUNK_VALUES = 1 << 20  # rows copied at a time when they lie scattered
# From here on coding the rows on the way costs less than it saves. They must be a batch, whose
# codes are narrow enough for its tiles (``QueryCodes.of``).
MIN_CODED_QUERIES = 80


def topk(
    queries: npt.NDArray[Any],
    gallery: npt.NDArray[Any],
    k: int,
    metric: str = "ip",
    *,
    num_threads: int | None = None,
    in_float64: bool = False,
) -> Neighbours:
    """Return the ``k`` best gallery items of each query, best first.

    ``queries`` is float32 or float16 [Q, D], ``gallery`` the same [G, D]; strided and read-only
    arrays are fine. ``metric`` is "ip" (inner product, larger is nearer), "cosine" (larger) or
    "l2" (squared distance, smaller). ``num_threads`` is by default NUMBA_NUM_THREADS, which is by
    default all processors that the process may use. ``in_float64`` leaves the scores unrounded, for
    those who merge the answers of several parts.
    """
    check_metric(metric)
    num_kept = check_count(k)
    query_QD, gallery_GD = check_pair(queries, gallery)
    query = QueryCodes.of(query_QD, 8)
    num_shards = num_useful_threads(num_threads, gallery_GD.nbytes * len(query_QD))
    heaps = Heaps.empty(num_shards, len(query_QD), min(num_kept, len(gallery_GD)))
    if heaps.ids.size:
        for first_id, row_PD in _pieces(gallery_GD):
            _scan_piece(query, row_PD, first_id, METRIC_NUMBERS[metric], heaps)
    return neighbours(heaps, num_kept, metric, in_float64=in_float64)


def _scan_piece(
    query: QueryCodes, row_PD: npt.NDArray[Any], first_id: int, metric: int, heaps: Heaps
) -> None:
    """Offer the rows of a piece to the heaps, one shard a thread."""
    is_coded = len(query.rows) >= MIN_CODED_QUERIES and row_PD.shape[1] <= MAX_DIMENSION
    scan_some = _scan_coded if is_coded else _scan_floats

    def scan(shard: int, first: int, last: int) -> None:
        gallery = GalleryRows(row_PD, first_id, last, ALL_ROWS, metric)
        for some in parts_of(range(len(query.rows)), heaps.ids.shape[2]):
            scan_some(first, last, query.some(some), gallery, heaps.some(shard, some))

    run_parts(scan, len(row_PD), len(heaps.ids))


def _scan_floats(
    first: int, last: int, query: QueryCodes, gallery: GalleryRows, heaps: Heaps
) -> None:
    """Offer rows to the heaps by inner products in float32."""
    scratch = Scratch.floats(heaps, gallery.stop)
    room = FloatRoom.of(query.rows)
    scan_rows(first, last, query, gallery, heaps, scratch, room)


def _scan_coded(
    first: int, last: int, query: QueryCodes, gallery: GalleryRows, heaps: Heaps
) -> None:
    """Offer rows to the heaps by codes that are made on the way."""
    num_numbers, dimension = query.codes.shape[1] // 4, query.rows.shape[1]
    has_offsets = gallery.metric == METRIC_NUMBERS["l2"]
    room = TileRoom.empty(num_numbers, dimension, has_offsets=has_offsets)
    scratch = Scratch.together(heaps, gallery.stop, num_numbers)._replace(bytes=room.bytes)
    codes = room.codes()
    scan_plain(first, last, query, gallery, heaps, scratch, codes, room)


def _pieces(gallery_GD: npt.NDArray[Any]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Yield (id of the first row, rows): whole, or in copied pieces if they lie scattered."""
    if gallery_GD.flags.c_contiguous and gallery_GD.flags.aligned:
        yield 0, plain_rows(gallery_GD)
        return
    step = max(1, CHUNK_VALUES // gallery_GD.shape[1])
    for first_id in range(0, len(gallery_GD), step):
        yield first_id, plain_rows(gallery_GD[first_id : first_id + step])


def unit_rows(rows: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return float32 rows of length 1; zero rows stay zero, and infinite ones become NaN."""
    row_ND = compiled_rows(check_rows("rows", rows))
    unit_ND = np.empty(row_ND.shape, np.float32)

    def fill(_: int, first: int, last: int) -> None:
        fill_unit_rows(row_ND[first:last], unit_ND[first:last])

    run_parts(fill, len(row_ND), num_useful_threads(None, row_ND.nbytes))
    return compiled_rows(unit_ND)


def compiled_rows(row_ND: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the rows as the one array type that kernels compile for: C, aligned, read-only."""
    row_ND = np.require(row_ND, np.float32, ["C", "A"]).view()
    row_ND.flags.writeable = False
    return row_ND
