"""Score tiles of code blocks and queries: the innermost loops of every scan over codes.

A tile answers one question for each of its pairs: can this row still be among the query's best?
Rows are lanes of a vector, so no sum across lanes is needed, sixteen answers come at once, and the
loop that calls this does nothing more for most tiles. The sums live in registers: two blocks of
16 rows by eight queries for batches where the processor has 32 wide registers, less elsewhere.
"""
# Numba infers the types here, and has no stubs.
# mypy: ignore-errors

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from cmpc_kernels.intrinsics import (
    F32,
    F32_LANES,
    I8,
    I16,
    I32,
    I32_LANES,
    I64,
    LANES,
    call_llvm,
    dot_instruction,
    emit_dot,
    splat,
    splat_constant,
)

__all__ = [
    "BASE",
    "BATCH_BLOCKS",
    "BATCH_QUERIES",
    "LENGTH",
    "RESIDUAL",
    "SCALE",
    "THRESHOLD",
    "scan_batch",
    "scan_single",
]

# What a tile must know of a query, in the columns of ``fact_QF``.
SCALE, BASE, LENGTH, RESIDUAL, THRESHOLD = range(5)

BATCH_BLOCKS, BATCH_QUERIES = (2, 8) if dot_instruction() == "vnni512" else (1, 4)


def _make_scan_tile(num_blocks, num_queries):
    """Return the intrinsic for tiles of that many blocks and queries; see ``scan_tile`` below."""

    @intrinsic
    def scan_tile(context, packed, gain, offset, bound, b, code, total, fact, q, shifts, mask):
        """Set mask[i, j], bit by bit: may row 16 * (b + i) + bit beat query q + j's threshold?

        ``packed`` is uint8 [B, V, 16, 4], ``gain`` float32 [B, 16], ``offset`` the same or [B, 0],
        ``bound`` float32 [B, 2], ``code`` int8 [Q, C], ``total`` int32 [Q], ``fact`` float32
        [Q, 5], ``mask`` uint16 [blocks, queries]; ``shifts`` is a tuple with one entry for each
        code in a byte. Returns whether any bit is set. A NaN never excludes a row.
        """

        def generate(context, builder, signature, arguments):
            tile = _Tile(context, builder, signature, arguments, num_blocks, num_queries)
            return tile.emit()

        arguments = (packed, gain, offset, bound, b, code, total, fact, q, shifts, mask)
        return types.int32(*arguments), generate

    return scan_tile


class _Tile:
    """The code of one tile, while it is being written."""

    def __init__(self, context, builder, signature, arguments, num_blocks, num_queries):
        self.builder = builder
        self.num_blocks, self.num_queries = num_blocks, num_queries
        (packed, gain, offset, bound, self.b, code, total, fact, self.q, _, mask) = arguments
        arrays = {
            "packed": (signature.args[0], packed),
            "gain": (signature.args[1], gain),
            "offset": (signature.args[2], offset),
            "bound": (signature.args[3], bound),
            "code": (signature.args[5], code),
            "total": (signature.args[6], total),
            "fact": (signature.args[7], fact),
            "mask": (signature.args[10], mask),
        }
        self.pointer, self.shape = {}, {}
        for name, (array_type, value) in arrays.items():
            array = context.make_array(array_type)(context, builder, value)
            self.pointer[name] = builder.bitcast(array.data, I8.as_pointer())
            self.shape[name] = cgutils.unpack_tuple(builder, array.shape)
        self.num_parts = signature.args[9].count
        self.instruction = dot_instruction()
        self.zeros = cgutils.alloca_once_value(builder, ir.Constant(F32_LANES, [0.0] * LANES))
        self.is_signed = self.instruction == "sdot" and self.num_parts == 1

    def emit(self):
        """Return the flag: dots in a loop over the vectors of a block, then comparisons."""
        sums = self._emit_dots()
        any_bit = ir.Constant(I16, 0)
        for i in range(self.num_blocks):
            block = self._plus(self.b, i)
            gain = self._load("gain", self._times(block, 4 * LANES), F32_LANES)
            offset = self._load_offset(block)
            bounds = [
                self._load("bound", self._plus(self._times(block, 8), n), F32) for n in (0, 4)
            ]
            for j in range(self.num_queries):
                bits = self._emit_comparison(sums[i][j], gain, offset, bounds, j)
                place = 2 * (i * self.num_queries + j)
                self._store("mask", ir.Constant(I64, place), bits)
                any_bit = self.builder.or_(any_bit, bits)
        return self.builder.zext(any_bit, I32)

    def _emit_dots(self):
        builder = self.builder
        num_vectors, row_bytes = self.shape["packed"][1], self.shape["code"][1]
        slots = [
            [cgutils.alloca_once(builder, I32_LANES) for _ in range(self.num_queries)]
            for _ in range(self.num_blocks)
        ]
        for row in slots:
            for j, slot in enumerate(row):
                builder.store(self._emit_start(j), slot)
        with cgutils.for_range(builder, num_vectors) as loop:
            codes = [
                self._load(
                    "packed",
                    self._times(
                        builder.add(builder.mul(self._plus(self.b, i), num_vectors), loop.index), 64
                    ),
                    I32_LANES,
                )
                for i in range(self.num_blocks)
            ]
            for part in range(self.num_parts):
                chunk = self._times(self._plus(self._times(loop.index, self.num_parts), part), 4)
                parts = [self._emit_part(vector, part) for vector in codes]
                for j in range(self.num_queries):
                    first = builder.mul(self._plus(self.q, j), row_bytes)
                    query = self._splat(self._load("code", builder.add(first, chunk), I32))
                    for i, vector in enumerate(parts):
                        before = builder.load(slots[i][j])
                        after = emit_dot(builder, self.instruction, before, vector, query)
                        builder.store(after, slots[i][j])
        return [[builder.load(slot) for slot in row] for row in slots]

    def _emit_start(self, j):
        """Return what the sums start with: what codes 128 lower would lack."""
        if not self.is_signed:
            return splat_constant(0)
        total = self._load("total", self._times(self._plus(self.q, j), 4), I32)
        return self._splat(self.builder.mul(total, ir.Constant(I32, 128)))

    def _emit_part(self, vector, part):
        """Return one code of each byte."""
        if self.num_parts == 1:
            flip = splat_constant(0x80808080)
            return self.builder.xor(vector, flip) if self.is_signed else vector
        bits = 8 // self.num_parts
        if part:
            vector = self.builder.lshr(vector, splat_constant(part * bits))
        return self.builder.and_(vector, splat_constant((2**bits - 1) * 0x01010101))

    def _emit_comparison(self, sums, gain, offset, bounds, j):
        """Return 16 bits: gain * (scale * sums + base + length * r + residual * n) + offset >= t.

        ``r`` and ``n`` are the block's bounds. False only if the comparison holds and is false.
        """
        builder = self.builder
        first = self._times(self._plus(self.q, j), 20)
        scale, base, length, residual, threshold = (
            self._load("fact", self._plus(first, 4 * n), F32) for n in range(5)
        )
        margin = builder.fadd(builder.fmul(length, bounds[0]), builder.fmul(residual, bounds[1]))
        margin = self._splat(builder.fadd(base, margin))
        number = builder.sitofp(sums, F32_LANES)
        score = self._fma(gain, self._fma(self._splat(scale), number, margin), offset)
        is_kept = builder.fcmp_unordered(">=", score, self._splat(threshold))
        return builder.bitcast(is_kept, I16)

    def _load_offset(self, block):
        """Return the block's offsets; zeros if the metric has none. The choice costs no branch."""
        zeros = self.builder.bitcast(self.zeros, I8.as_pointer())
        start = self._times(block, 4 * LANES)
        there = self.builder.gep(self.pointer["offset"], [start], source_etype=I8)
        has_offset = self.builder.icmp_signed("!=", self.shape["offset"][1], I64(0))
        address = self.builder.select(has_offset, there, zeros)
        return self.builder.load(self.builder.bitcast(address, F32_LANES.as_pointer()), align=1)

    def _fma(self, *arguments):
        return call_llvm(self.builder, "llvm.fma.v16f32", F32_LANES, list(arguments))

    def _plus(self, value, constant):
        return self.builder.add(value, ir.Constant(I64, constant))

    def _times(self, value, constant):
        return self.builder.mul(value, ir.Constant(I64, constant))

    def _address(self, name, offset_bytes, value_type):
        address = self.builder.gep(self.pointer[name], [offset_bytes], source_etype=I8)
        return self.builder.bitcast(address, value_type.as_pointer())

    def _load(self, name, offset_bytes, value_type):
        return self.builder.load(self._address(name, offset_bytes, value_type), align=1)

    def _store(self, name, offset_bytes, value):
        self.builder.store(value, self._address(name, offset_bytes, value.type), align=1)

    def _splat(self, value):
        return splat(self.builder, value)


def _make_plain_tile(num_blocks, num_queries):
    """Return the same in NumPy: the definition, and what runs when Numba is switched off."""

    def scan_tile(packed, gain, offset, bound, b, code, total, fact, q, shifts, mask):
        width = 8 // len(shifts)
        for i in range(num_blocks):
            parts = [packed[b + i] >> shift & (2**width - 1) for shift in shifts]
            code_ND = np.stack(parts, axis=1).transpose(2, 0, 1, 3).reshape(LANES, -1)
            for j in range(num_queries):
                scale, base, length, residual, threshold = fact[q + j]
                sums = (code_ND.astype(np.int32) @ code[q + j].astype(np.int32)).astype(np.float32)
                margin = base + (length * bound[b + i, 0] + residual * bound[b + i, 1])
                score = gain[b + i] * (scale * sums + margin)
                score = score + offset[b + i] if offset.size else score
                mask[i, j] = np.packbits(~(score < threshold), bitorder="little").view(np.uint16)[0]
        return int(mask.any())

    return scan_tile


_make = _make_plain_tile if config.DISABLE_JIT else _make_scan_tile
scan_single, scan_batch = _make(1, 1), _make(BATCH_BLOCKS, BATCH_QUERIES)
