"""Sums over the numbers of two rows in one order, so that every processor gives the same bits.

The order is that of ``reference.sum_in_lanes``: eight lanes, added by halves, no operation fused
with another or moved. So AVX2, AVX-512, SSE and NEON agree, as does NumPy, and what ties on one
ties on all. Left to itself a compiler would keep this order one number at a time, or not at all.

    sum_products             <x, y> in float64, where the product of two float32 is exact
    sum_squared_differences  |x - y|^2 in float64
    tile_products            <x, y> in float32, of two rows with four

Call them from functions that are compiled without fast-math: Numba would mark these sums, too.
"""
# Numba infers the types here, and has no stubs.
# mypy: ignore-errors

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from cmpc_kernels.compiled.emitter import Emitter
from cmpc_kernels.compiled.float_tiles import add_lanes
from cmpc_kernels.compiled.intrinsics import F32, I16, I32, I64, as_float32, widen_half
from cmpc_kernels.reference import NUM_LANES, sum_in_lanes

__all__ = [
    "TILE_ITEMS",
    "TILE_QUERIES",
    "sum_products",
    "sum_squared_differences",
    "tile_products",
]

F64 = ir.DoubleType()
TILE_QUERIES, TILE_ITEMS = 2, 4


def product(builder, first, second):
    """Emit a term of an inner product."""
    return builder.fmul(first, second)


def squared_difference(builder, first, second):
    """Emit a term of a squared distance."""
    difference = builder.fsub(first, second)
    return builder.fmul(difference, difference)


class _Sums(Emitter):
    """The code of some sums, while it is being written."""

    NAMES = ("first_ND", "n", "second_ND", "m")

    def __init__(self, context, builder, signature, arguments, number):
        super().__init__(self.NAMES, context, builder, signature, arguments)
        self.number, self.vector = number, ir.VectorType(number, NUM_LANES)
        self.is_half = {
            name: kind.dtype == types.uint16
            for name, kind in zip(self.NAMES, signature.args, strict=True)
            if isinstance(kind, types.Array)
        }

    def emit(self, term, num_first=1, num_second=1):
        """Return the sums of some rows from row n on with some from row m on; see ``_row``."""
        rows = [self._row("first_ND", "n", i) for i in range(num_first)]
        rows += [self._row("second_ND", "m", j) for j in range(num_second)]
        pairs = [(i, num_first + j) for i in range(num_first) for j in range(num_second)]
        lanes = [cgutils.alloca_once(self.builder, self.vector) for _ in pairs]
        for slot in lanes:
            self.builder.store(self._zeros(), slot)
        for numbers in self._each_eight(rows):
            for slot, (i, j) in zip(lanes, pairs, strict=True):
                added = term(self.builder, numbers[i], numbers[j])
                self.builder.store(self.builder.fadd(self.builder.load(slot), added), slot)
        sums = [add_lanes(self.builder, [self.builder.load(slot)]) for slot in lanes]
        return [self.builder.extract_element(total, I32(0)) for total in sums]

    def _row(self, name, index, n):
        """Return an array's name and where its row starts: the last one again past the end."""
        builder = self.builder
        row, last = self.plus(self.value[index], n), self.plus(self.shape[name][0], -1)
        row = builder.select(builder.icmp_signed("<", row, last), row, last)
        return name, builder.mul(row, self.shape[name][1])

    def _each_eight(self, rows):
        """Yield each row's next eight numbers, at the end with zeros: these change no lane."""
        builder, dimension = self.builder, self.shape["first_ND"][1]
        with cgutils.for_range(builder, builder.udiv(dimension, I64(NUM_LANES))) as loop:
            first = self.times(loop.index, NUM_LANES)
            yield [self._load(name, builder.add(start, first), NUM_LANES) for name, start in rows]
        rest = builder.urem(dimension, I64(NUM_LANES))
        with builder.if_then(builder.icmp_unsigned("!=", rest, I64(0))):
            first = builder.sub(dimension, rest)
            yield [self._rest(name, builder.add(start, first), rest) for name, start in rows]

    def _rest(self, name, place, count):
        """Return fewer than eight numbers, and zeros."""
        room = cgutils.alloca_once(self.builder, self.vector)
        self.builder.store(self._zeros(), room)
        lane = self.builder.bitcast(room, self.number.as_pointer())
        with cgutils.for_range(self.builder, count) as loop:
            number = self._load(name, self.builder.add(place, loop.index))
            where = self.builder.gep(lane, [loop.index], source_etype=self.number)
            self.builder.store(number, where)
        return self.builder.load(room)

    def _load(self, name, place, count=None):
        """Return one number, or a vector of them, widened."""

        def of(kind):
            return kind if count is None else ir.VectorType(kind, count)

        if self.is_half[name]:
            bits = self.load(name, self.times(place, 2), of(I16))
            value = widen_half(self.builder, bits)
        else:
            value = self.load(name, self.times(place, 4), of(F32))
        return value if self.number == F32 else self.builder.fpext(value, of(F64))

    def _zeros(self):
        return ir.Constant(self.vector, [0.0] * NUM_LANES)


def _make_sum(term):
    """Return the intrinsic that sums a term over rows n and m, float32 or uint16, in float64."""

    @intrinsic
    def lane_sum(context, first_ND, n, second_ND, m):
        def generate(context, builder, signature, arguments):
            (total,) = _Sums(context, builder, signature, arguments, F64).emit(term)
            return total

        return types.float64(first_ND, n, second_ND, m), generate

    return lane_sum


@intrinsic
def _tile_products(context, first_ND, n, second_ND, m):
    """Return float32 inner products of rows n, n + 1 with m to m + 3, first by first.

    Past the end of an array it is its last row.
    """
    result = types.UniTuple(types.float32, TILE_QUERIES * TILE_ITEMS)

    def generate(context, builder, signature, arguments):
        code = _Sums(context, builder, signature, arguments, F32)
        sums = code.emit(product, TILE_QUERIES, TILE_ITEMS)
        return context.make_tuple(builder, result, sums)

    return result(first_ND, n, second_ND, m), generate


def _plain_sum_products(first_ND, n, second_ND, m):
    first_D, second_D = (as_float32(row) for row in (first_ND[n], second_ND[m]))
    return sum_in_lanes(first_D.astype(np.float64) * second_D.astype(np.float64))


def _plain_sum_squared_differences(first_ND, n, second_ND, m):
    first_D, second_D = (as_float32(row) for row in (first_ND[n], second_ND[m]))
    return sum_in_lanes((first_D.astype(np.float64) - second_D.astype(np.float64)) ** 2)


def rows_from(row_ND, first, count):
    """Return some rows; past the end it is the last one."""
    return row_ND[np.minimum(np.arange(first, first + count), len(row_ND) - 1)]


def _plain_tile_products(first_ND, n, second_ND, m):
    return tuple(
        sum_in_lanes(first_D * second_D)
        for first_D in rows_from(first_ND, n, TILE_QUERIES)
        for second_D in rows_from(second_ND, m, TILE_ITEMS)
    )


if config.DISABLE_JIT:  # the loops are plain Python then
    sum_products, tile_products = _plain_sum_products, _plain_tile_products
    sum_squared_differences = _plain_sum_squared_differences
else:
    sum_products, tile_products = _make_sum(product), _tile_products
    sum_squared_differences = _make_sum(squared_difference)
