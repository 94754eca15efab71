"""What a compiled scan is given, and where it writes. Q queries, D values, K kept.

Named tuples of arrays, which Numba takes apart: five arguments instead of thirty. Compiled code
allocates nothing, so whatever it needs to write to is in here.
"""

import threading
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from cmpc_kernels.compiled.code_tiles import (
    BATCH_BLOCKS,
    BATCH_LEVELS,
    BATCH_QUERIES,
    NUM_FACTS,
    QUERY_LEVELS,
    THRESHOLD,
)
from cmpc_kernels.compiled.encoders import encode_queries
from cmpc_kernels.compiled.float_tiles import FLOAT_QUERIES, TAIL
from cmpc_kernels.compiled.intrinsics import LANES
from cmpc_kernels.nearest.codes import RowCodes, plain_rows

__all__ = [
    "ALL_ROWS",
    "CodeArrays",
    "FloatRoom",
    "GalleryRows",
    "Heaps",
    "QueryCodes",
    "Scratch",
    "TileRoom",
    "is_batch",
    "parts_of",
]

ALL_ROWS = plain_rows(np.empty(0, np.bool_))
SHIFTS = {1: (0, 1, 2, 3, 4, 5, 6, 7), 2: (0, 2, 4, 6), 4: (0, 4), 8: (0, 4)}
MOST_CANDIDATES = 1 << 20  # kept rows of the queries that one thread scans for at a time: 64 MB
SPARE_CANDIDATES = 64  # more than a multiple of K
MOST_KEPT_BYTES = 1 << 22  # by each thread, from one scan to the next
NUM_WAITING = 8  # hits that wait for one another: few, as a late bound is a late threshold


class CodeArrays(NamedTuple):
    """The codes of rows; see ``codes.py``. Planes are uint32 [B, V, 16]."""

    packed: npt.NDArray[np.uint32]
    rests: npt.NDArray[np.uint32]
    shifts: tuple[int, ...]  # of the codes in a byte: their number is known when Numba compiles
    bits: int
    gains: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.float32]
    bounds: npt.NDArray[np.float32]

    @classmethod
    def of(cls, codes: RowCodes) -> Self:
        """Return the same codes."""
        kept = (codes.gains, codes.offsets, codes.bounds)
        return cls(*codes.words, SHIFTS[codes.bits], codes.bits, *kept)


class TileRoom(NamedTuple):
    """Where a tile of rows is given codes of 8 bits, I blocks of four bytes a number."""

    bytes: npt.NDArray[np.uint32]  # [I, W, 16]
    gains: npt.NDArray[np.float32]  # [I, 16]
    offsets: npt.NDArray[np.float32]  # [I, 16 or 0]
    bounds: npt.NDArray[np.float32]  # [I, 4]
    row_values: npt.NDArray[np.float32]  # [D], of one row
    row_codes: npt.NDArray[np.uint8]  # [4 W]

    @classmethod
    def empty(cls, num_numbers: int, dimension: int, *, has_offsets: bool) -> Self:
        """Return room for rows of a dimension; ``num_numbers`` is W."""
        return cls(
            bytes=np.empty((BATCH_BLOCKS, num_numbers, LANES), np.uint32),
            gains=np.empty((BATCH_BLOCKS, LANES), np.float32),
            offsets=np.empty((BATCH_BLOCKS, LANES if has_offsets else 0), np.float32),
            bounds=np.empty((BATCH_BLOCKS, 4), np.float32),
            row_values=np.empty(dimension, np.float32),
            row_codes=np.empty(4 * num_numbers, np.uint8),
        )

    def codes(self) -> CodeArrays:
        """Return what is in here as codes of the one type that scans are compiled for."""
        byte, *rest = (_read_only(array) for array in self[:4])
        return CodeArrays(byte, byte, SHIFTS[8], 8, *rest)


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


class GalleryRows(NamedTuple):
    """What scores are computed from: rows [G, D], or codes, if these are all there is.

    Row g has the id first_id + g, and is one if g < stop. ``allow`` is bool by id, or empty: all.
    """

    rows: npt.NDArray[Any] | CodeArrays
    first_id: int
    stop: int
    allow: npt.NDArray[np.bool_]
    metric: int


class QueryCodes(NamedTuple):
    """Queries, padded to whole tiles; see ``encode_queries``. A scan raises their thresholds."""

    rows: npt.NDArray[np.float32]
    codes: npt.NDArray[np.int8]
    totals: npt.NDArray[np.int32]
    facts: npt.NDArray[np.float32]
    lengths: npt.NDArray[np.float64]

    @classmethod
    def of(cls, queries: npt.NDArray[Any], bits: int, *, is_coarse: bool = False) -> Self:
        """Encode float32 or float16 queries [Q, D] for codes of that many bits."""
        query_QD = plain_rows(queries.astype(np.float32, copy=False))
        num_queries, dimension = query_QD.shape
        num_padded = -(-num_queries // BATCH_QUERIES) * BATCH_QUERIES
        group = 32 // min(bits, 4)  # values that one row has in one vector
        query = cls(
            rows=query_QD,
            codes=np.zeros((num_padded, -(-dimension // group) * group), "i1"),
            totals=np.zeros(num_padded, np.int32),
            facts=np.zeros((num_padded, NUM_FACTS), np.float32),
            lengths=np.empty(num_queries),
        )
        is_narrow = is_batch(num_queries) and not is_coarse
        levels = BATCH_LEVELS if is_narrow else QUERY_LEVELS
        encode_queries(
            query_QD, bits, levels, is_coarse, query.codes, query.totals, query.facts, query.lengths
        )
        query.facts[num_queries:, THRESHOLD] = np.inf  # or a tile would stop for what pads it
        return query

    def some(self, queries: slice) -> Self:
        """Return some of them, from the first of a tile on, with thresholds of their own."""
        if queries.start == 0 and queries.stop >= len(self.rows):  # the rule, and slices take time
            return type(self)(self.rows, self.codes, self.totals, self.facts.copy(), self.lengths)
        last = -(-queries.stop // BATCH_QUERIES) * BATCH_QUERIES
        padded = slice(queries.start, last)
        return type(self)(
            rows=self.rows[queries],
            codes=self.codes[padded],
            totals=self.totals[padded],
            facts=self.facts[padded].copy(),
            lengths=self.lengths[queries],
        )


class Heaps(NamedTuple):
    """The best of each shard and query, float64 and int64 [S, Q, K]."""

    scores: npt.NDArray[np.float64]
    ids: npt.NDArray[np.int64]

    @classmethod
    def empty(cls, num_shards: int, num_queries: int, num_kept: int) -> Self:
        """Return heaps that anything beats."""
        shape = (num_shards, num_queries, num_kept)
        heaps = cls(np.empty(shape), np.empty(shape, np.int64))
        heaps.scores.fill(-np.inf)
        heaps.ids.fill(-1)
        return heaps

    def some(self, shard: int, queries: slice) -> Self:
        """Return those of a shard and some queries, float64 and int64 [Q, K]."""
        return type(self)(self.scores[shard, queries], self.ids[shard, queries])


class Scratch(NamedTuple):
    """Where one scan writes what nobody else reads; one over rows leaves out what is of codes."""

    # What passed the filter, H hits: query, block, 16 bits; and the bounds, by row of the block.
    hits: npt.NDArray[np.int64]  # [H, 3]
    hit_uppers: npt.NDArray[np.float32]  # [H, 16]
    lane_lowers: npt.NDArray[np.float32]  # [16], of one block
    # Each query's candidates, room for C, of which the first counts[q] are there.
    uppers: npt.NDArray[np.float32]  # [Q, C]
    lowers: npt.NDArray[np.float32]  # [Q, C]
    rows: npt.NDArray[np.int64]  # [Q, C]
    counts: npt.NDArray[np.int64]  # [Q]
    # A tile of I blocks and J queries; see ``compiled/code_tiles.py``. W numbers are four bytes of
    # a row each.
    sums: npt.NDArray[np.int32]  # [16]
    tile_uppers: npt.NDArray[np.float32]  # [I, J, 16]
    masks: npt.NDArray[np.uint16]  # [I, J]
    bytes: npt.NDArray[np.uint32]  # [I, W, 16]

    @classmethod
    def singly(cls, heaps: Heaps, num_rows: int) -> "Scratch":
        """Return room for scans that take one block and one query at a time."""
        return cls._of(heaps, num_rows, (1, 1), NUM_WAITING, 0)

    @classmethod
    def together(cls, heaps: Heaps, num_rows: int, num_numbers: int) -> "Scratch":
        """Return room for scans by tiles."""
        num_hits = (1 + BATCH_BLOCKS) * len(heaps.ids)
        return cls._of(heaps, num_rows, (BATCH_BLOCKS, BATCH_QUERIES), num_hits, num_numbers)

    @classmethod
    def floats(cls, heaps: Heaps, num_rows: int) -> "Scratch":
        """Return room for scans of rows in float32."""
        return cls._of(heaps, num_rows, (1, FLOAT_QUERIES), 0, 0)

    @classmethod
    def _of(
        cls, heaps: Heaps, num_rows: int, tile: tuple[int, int], num_hits: int, num_numbers: int
    ) -> "Scratch":
        """Return what this thread's last scan of the kind wrote to, if that is of the same size."""
        num_queries, num_kept = heaps.ids.shape
        room = (num_queries, min(4 * num_kept + SPARE_CANDIDATES, num_rows + LANES))
        sizes = (room, num_hits, num_numbers)
        if _kept.sizes.get(tile) == sizes:
            scratch = _kept.scratches[tile]
            scratch.counts.fill(0)
            return scratch
        scratch = cls(
            hits=np.empty((num_hits, 3), np.int64),
            hit_uppers=np.empty((num_hits, LANES), np.float32),
            lane_lowers=np.empty(LANES, np.float32),
            uppers=np.empty(room, np.float32),
            lowers=np.empty(room, np.float32),
            rows=np.empty(room, np.int64),
            counts=np.zeros(num_queries, np.int64),
            sums=np.empty(LANES, np.int32),
            tile_uppers=np.empty((*tile, LANES), np.float32),
            masks=np.empty(tile, np.uint16),
            bytes=np.empty((tile[0], num_numbers, LANES), np.uint32),
        )
        if sum(array.nbytes for array in scratch) <= MOST_KEPT_BYTES:
            _kept.sizes[tile], _kept.scratches[tile] = sizes, scratch
        return scratch


class _Kept(threading.local):
    """Each thread's last scratch of a tile, and its sizes: to find memory takes time."""

    def __init__(self) -> None:
        self.sizes: dict[tuple[int, int], object] = {}
        self.scratches: dict[tuple[int, int], Scratch] = {}


_kept = _Kept()


class FloatRoom(NamedTuple):
    """What a scan in float32 works with: padded queries, and numbers of 16 rows."""

    queries: npt.NDArray[np.float32]  # [whole tiles, a multiple of 16]
    tails: npt.NDArray[np.float32]  # [16, 16], of a multiple of 16 numbers what is left
    squares: npt.NDArray[np.float32]  # [16], as all that follow; see ``measure_rows``
    gains: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.float32]
    losses: npt.NDArray[np.float32]
    losses_by_length: npt.NDArray[np.float32]

    @classmethod
    def of(cls, query_QD: npt.NDArray[np.float32]) -> Self:
        """Return room for these queries."""
        num_queries, dimension = query_QD.shape
        num_padded = -(-num_queries // FLOAT_QUERIES) * FLOAT_QUERIES
        padded = np.zeros((num_padded, -(-dimension // TAIL) * TAIL), np.float32)
        padded[:num_queries, :dimension] = query_QD
        return cls(
            padded,
            np.zeros((LANES, TAIL), np.float32),
            *np.empty((5, LANES), np.float32),
        )


def is_batch(num_queries: int) -> bool:
    """Say whether that many queries are scanned for by tiles, or one by one."""
    return num_queries > BATCH_QUERIES // 2


def parts_of(queries: range, num_kept: int) -> list[slice]:
    """Divide queries into as many as one scan may take: each has room for candidates."""
    step = max(1, MOST_CANDIDATES // num_kept // BATCH_QUERIES) * BATCH_QUERIES
    return [slice(first, min(first + step, queries.stop)) for first in queries[::step]]
