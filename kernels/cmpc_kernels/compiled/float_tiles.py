"""Float32 inner products of a block of rows and a few queries: the innermost loops without codes.

The numbers of a row are the lanes here, as rows come. A register holds the sums of one row and one
query, and its lanes are added up at the end, those of several rows together.

    dot_query     one query, and squares: row after row, as memory is read fastest
    dot_queries   several queries: several rows at a time too, so that what is read is used often
"""
# Numba infers the types here, and has no stubs.
# mypy: ignore-errors

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from cmpc_kernels.compiled.emitter import Emitter
from cmpc_kernels.compiled.intrinsics import (
    F32,
    I16,
    I32,
    I64,
    LANES,
    as_float32,
    call_llvm,
    dot_instruction,
    widen_half,
)

__all__ = ["FLOAT_QUERIES", "TAIL", "dot_queries", "dot_query"]

TAIL = 16  # numbers at the end of a row are padded to a multiple
FLOAT_QUERIES = 4  # of a tile of several
ROWS_ADDED = 4  # rows whose lanes are added up together
# Lanes of a register: with 16, single queries ran at two thirds of the speed of 8, since half of
# the reads of rows that lie anywhere touch two cache lines. For several, the rows that fit as well.
LANES_OF_ONE, LANES_OF_SOME, ROWS_OF_SOME = {
    "vnni512": (8, 16, 4),
    "vnni256": (8, 8, 2),
    "avx2": (8, 8, 2),
    "sdot": (4, 4, 4),
    "portable": (4, 4, 2),
}[dot_instruction()]


def _make_dot(num_lanes, num_rows, num_queries, *, has_squares):
    """Return the intrinsic that takes ``num_rows`` rows at a time."""

    @intrinsic
    def dot(context, row_GD, first, last, tail, query, q, product, square):
        """Fill product[j, r] with the inner product of query q + j and row first + r.

        ``row_GD`` is float32 or uint16, the bits of float16. There are 16 rows; from row ``last``
        on it is the one before. ``tail``, float32 [16, 16], holds what the 16 rows have beyond a
        multiple of 16 numbers, and zeros. ``query`` is float32 [Q, a multiple of 16], ``product``
        float32 [J, 16]. If the tile has squares, ``square``, float32 [16], gets the rows' own.
        """

        def generate(context, builder, signature, arguments):
            code = _Dots(context, builder, signature, arguments)
            code.num_rows, code.num_queries, code.has_squares = num_rows, num_queries, has_squares
            code.vector = ir.VectorType(F32, num_lanes)
            code.emit()
            return context.get_dummy_value()

        return types.void(row_GD, first, last, tail, query, q, product, square), generate

    return dot


class _Dots(Emitter):
    """The code of one intrinsic, while it is being written."""

    NAMES = ("row_GD", "first", "last", "tail", "query", "q", "product", "square")

    def __init__(self, context, builder, signature, arguments):
        super().__init__(self.NAMES, context, builder, signature, arguments)
        self.is_half = signature.args[0].dtype == types.uint16

    def emit(self):
        """Take the 16 rows, a few at a time."""
        builder = self.builder
        with cgutils.for_range_slice(builder, I64(0), I64(LANES), I64(ROWS_ADDED)) as (r, _):
            slots = self._slots()
            for n in range(0, ROWS_ADDED, self.num_rows):
                some = [column[n : n + self.num_rows] for column in slots]
                self._add_rows(some, [self.plus(r, n + i) for i in range(self.num_rows)])
            for j, column in enumerate(slots):
                sums = add_lanes(builder, [builder.load(sums[0]) for sums in column])
                name, first = ("product", j * LANES) if j < self.num_queries else ("square", 0)
                self.store(name, self.times(self.plus(r, first), 4), sums)

    def _slots(self):
        """Return room for the sums, zero at first: for each query, and for squares, each row's.

        A row that comes alone has two sums, so that they do not wait for one another.
        """
        num_sums = min(TAIL // self.vector.count, 2) if self.num_rows == 1 else 1
        return [
            [[self._zeros() for _ in range(num_sums)] for _ in range(ROWS_ADDED)]
            for _ in range(self.num_queries + self.has_squares)
        ]

    def _zeros(self):
        slot = cgutils.alloca_once(self.builder, self.vector)
        self.builder.store(ir.Constant(self.vector, [0.0] * self.vector.count), slot)
        return slot

    def _add_rows(self, slots, rows):
        """Add the products of some rows, 16 numbers at a time, then of what is in the tail."""
        builder, dimension = self.builder, self.shape["row_GD"][1]
        num_whole = builder.udiv(dimension, I64(TAIL))
        starts = [self._row_start(row) for row in rows]
        with cgutils.for_range(builder, num_whole) as loop:
            places = [builder.add(start, self.times(loop.index, TAIL)) for start in starts]
            self._add_products(slots, self._load_row, places, loop.index)
        has_rest = builder.icmp_unsigned("!=", builder.urem(dimension, I64(TAIL)), I64(0))
        with builder.if_then(has_rest):
            places = [self.times(row, TAIL) for row in rows]
            self._add_products(slots, self._load_tail, places, num_whole)
        for column in slots:
            for first, *others in column:
                for other in others:
                    total = builder.fadd(builder.load(first), builder.load(other))
                    builder.store(total, first)

    def _row_start(self, r):
        """Return where a row starts, in numbers."""
        builder = self.builder
        row, most = builder.add(self.value["first"], r), self.plus(self.value["last"], -1)
        row = builder.select(builder.icmp_signed("<", row, most), row, most)
        return builder.mul(row, self.shape["row_GD"][1])

    def _load_row(self, place):
        if not self.is_half:
            return self.load("row_GD", self.times(place, 4), self.vector)
        bits = self.load("row_GD", self.times(place, 2), ir.VectorType(I16, self.vector.count))
        return widen_half(self.builder, bits)

    def _load_tail(self, place):
        return self.load("tail", self.times(place, 4), self.vector)

    def _load_query(self, j, place):
        start = self.builder.mul(self.plus(self.value["q"], j), self.shape["query"][1])
        return self.load("query", self.times(self.builder.add(start, place), 4), self.vector)

    def _add_products(self, slots, load, places, chunk):
        """Add those of 16 numbers of each row, which ``load`` finds at ``places``."""
        for part in range(TAIL // self.vector.count):
            first = part * self.vector.count
            rows = [load(self.plus(place, first)) for place in places]
            place = self.plus(self.times(chunk, TAIL), first)
            for j, column in enumerate(slots):
                query = self._load_query(j, place) if j < self.num_queries else None
                for sums, row in zip(column, rows, strict=True):
                    slot = sums[part % len(sums)]
                    self._add_product(slot, row, row if query is None else query)

    def _add_product(self, slot, row, query):
        name = f"llvm.fma.v{self.vector.count}f32"
        factors = [row, query, self.builder.load(slot)]
        self.builder.store(call_llvm(self.builder, name, self.vector, factors), slot)


def add_lanes(builder, vectors):
    """Emit one vector whose lane n is the sum of the lanes of vector n.

    Halves are added to halves, of two vectors at a time while there are two.
    """
    num_parts = 1  # of a vector: how many vectors it has lanes of
    while len(vectors) > 1:
        vectors = [
            _add_halves(builder, *vectors[n : n + 2], num_parts) for n in range(0, len(vectors), 2)
        ]
        num_parts *= 2
    (vector,) = vectors
    while vector.type.count > num_parts:
        vector = _add_halves(builder, vector, None, num_parts)
    return vector


def _add_halves(builder, vector, other, num_parts):
    """Emit the sums of the first and the second half of each part, of one or of two vectors."""
    width = vector.type.count // num_parts
    starts = range(0, (1 if other is None else 2) * vector.type.count, width)
    halves = []
    for first in (0, width // 2):
        lanes = [start + first + n for start in starts for n in range(width // 2)]
        indices = ir.Constant(ir.VectorType(I32, len(lanes)), lanes)
        halves.append(builder.shuffle_vector(vector, other or vector, indices))
    return builder.fadd(*halves)


def _make_plain_dot(num_lanes, num_rows, num_queries, *, has_squares):
    """Return the same in NumPy: the definition, and what runs when Numba is switched off."""

    def dot(row_GD, first, last, tail, query, q, product, square):
        row_RD = as_float32(row_GD[np.minimum(np.arange(first, first + LANES), last - 1)])
        for j in range(num_queries):
            product[j] = row_RD @ query[q + j, : row_RD.shape[1]]
        if has_squares:
            square[:] = (row_RD * row_RD).sum(axis=1)

    return dot


_make = _make_plain_dot if config.DISABLE_JIT else _make_dot
dot_query = _make(LANES_OF_ONE, 1, 1, has_squares=True)
dot_queries = _make(LANES_OF_SOME, ROWS_OF_SOME, FLOAT_QUERIES, has_squares=False)
