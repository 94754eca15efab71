"""Score tiles of code blocks and queries: the innermost loops of every scan over codes.

A tile answers one question for each of its pairs: can this row still be among the query's best?
Rows are lanes of a vector, so no sum across lanes is needed, sixteen answers come at once, and the
loop that calls this does nothing more for most tiles.

    scan_first   one block, one query: a plane of codes; keeps its sums
    scan_rest    the same for the next plane of a block that the first let through; adds to them
    scan_batch   bytes of several blocks by several queries; the sums stay in registers, as many
                 as the processor has

``unpacking.py`` makes the bytes that scan_batch takes.
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
from cmpc_kernels.compiled.unpacking import one_code

__all__ = [
    "BASE",
    "BATCH_BLOCKS",
    "BATCH_LEVELS",
    "BATCH_QUERIES",
    "LENGTH",
    "MARGIN",
    "NUM_FACTS",
    "QUERY_LEVELS",
    "RESIDUAL",
    "SCALE",
    "STAGE_FACTS",
    "THRESHOLD",
    "scan_batch",
    "scan_first",
    "scan_rest",
]

# What a tile must know of a query, in the columns of ``fact_QF``: two numbers, and four more for
# each of up to two stages, the first in columns 2 to 5.
SCALE, THRESHOLD, BASE, LENGTH, RESIDUAL, MARGIN = range(6)
STAGE_FACTS, NUM_FACTS = 4, 10

BATCH_BLOCKS, BATCH_QUERIES = (2, 8) if dot_instruction() == "vnni512" else (1, 4)

# The largest code of a query. AVX2's fastest instruction for products of bytes stops at 2^15 - 1,
# where two are added: with bytes of up to 255 it is exact for 2 * 255 * 63 = 32,130. Exact searches
# in batches take that: their bounds are of the codes as they are, so the answer is the same. What a
# search by codes alone finds does depend on them, so it has all of int8 on every processor.
QUERY_LEVELS = 127
BATCH_LEVELS = 63 if dot_instruction() == "avx2" else QUERY_LEVELS


def _make_tile(num_blocks, num_queries, *, keeps_sums, has_start):
    """Return the intrinsic for tiles of that many blocks and queries."""

    @intrinsic
    def scan_tile(
        context, stored, packed, place, shifts, weight, code, total, fact, q, gain, offset, bound,
        b, stage, sums, upper, mask
    ):  # fmt: skip
        """Set mask[i, j], bit by bit: may row 16 * (b + i) + bit beat query q + j's threshold?

        ``packed`` is uint32 [P, V, 16], and block b's codes are packed[place]; ``shifts`` is a
        tuple with an entry for each code in a byte. ``code`` is int8 [Q, C], ``total`` int32 [Q],
        ``fact`` float32 [Q, 10], ``gain`` float32 [B, 16], ``offset`` the same or [B, 0], ``bound``
        float32 [B, 2 or 4], two for each stage. Sums are shifted by ``weight`` bits, and int32
        [16] ``sums`` may hold what to add, and is told. ``upper``, float32 [I, J, 16], is told what
        was compared. Returns whether any bit is set, in one bit or more. A NaN never excludes a
        row. ``stored`` are the gallery's rows: where they are codes alone, a batch's query codes
        reach QUERY_LEVELS, and else BATCH_LEVELS.
        """

        def generate(context, builder, signature, arguments):
            tile = _Tile(context, builder, signature, arguments)
            tile.num_blocks, tile.num_queries = num_blocks, num_queries
            tile.keeps_sums, tile.has_start = keeps_sums, has_start
            return tile.emit()

        arguments = (
            stored, packed, place, shifts, weight, code, total, fact, q, gain, offset, bound, b,
            stage, sums, upper, mask,
        )  # fmt: skip
        return types.int32(*arguments), generate

    return scan_tile


class _Tile(Emitter):
    """The code of one tile, while it is being written."""

    NAMES = (
        "stored", "packed", "place", "shifts", "weight", "code", "total", "fact", "q", "gain",
        "offset", "bound", "b", "stage", "sums", "upper", "mask",
    )  # fmt: skip

    def __init__(self, context, builder, signature, arguments):
        super().__init__(self.NAMES, context, builder, signature, arguments)
        self.num_parts = signature.args[3].count
        self.is_coarse = isinstance(signature.args[0], types.BaseTuple)
        self.instruction = dot_instruction()
        self.is_signed = self.instruction == "sdot" and self.num_parts == 1
        self.zeros = cgutils.alloca_once_value(builder, ir.Constant(F32_LANES, [0.0] * LANES))

    def emit(self):
        """Return the flag: dots in a loop over the vectors of a block, then comparisons."""
        sums = self._emit_dots()
        any_bit = ir.Constant(I16, 0)
        for i in range(self.num_blocks):
            block = self.plus(self.value["b"], i)
            gain = self.load("gain", self.times(block, 4 * LANES), F32_LANES)
            offset = self._load_offset(block)
            bounds = self._load_bounds(block)
            for j in range(self.num_queries):
                total = self._weigh(sums[i][j])
                pair = i * self.num_queries + j
                bits = self._emit_comparison(total, gain, offset, bounds, pair)
                self.store("mask", I64(2 * pair), bits)
                any_bit = self.builder.or_(any_bit, bits)
        return self.builder.zext(any_bit, I32)

    def _emit_dots(self):
        """Return the sums by block and query.

        A lone pair has one sum for each part of a byte, so that they do not wait for one another.
        """
        builder, num_sums = self.builder, self.num_parts if self.keeps_sums else 1
        slots = [
            [
                [cgutils.alloca_once(builder, I32_LANES) for _ in range(num_sums)]
                for _ in range(self.num_queries)
            ]
            for _ in range(self.num_blocks)
        ]
        for row in slots:
            for j, slot in enumerate(row):
                for n, part_slot in enumerate(slot):
                    builder.store(splat_constant(0) if n else self._emit_start(j), part_slot)
        with cgutils.for_range(builder, self.shape["packed"][1]) as loop:
            codes = [self._load_codes(i, loop.index) for i in range(self.num_blocks)]
            for part in range(self.num_parts):
                chunk = self.times(self.plus(self.times(loop.index, self.num_parts), part), 4)
                parts = [self._emit_part(vector, part) for vector in codes]
                for j in range(self.num_queries):
                    first = builder.mul(self.plus(self.value["q"], j), self.shape["code"][1])
                    query = splat(builder, self.load("code", builder.add(first, chunk), I32))
                    for i, vector in enumerate(parts):
                        slot = slots[i][j][part % num_sums]
                        before = builder.load(slot)
                        factors = (before, vector, query, self._largest_pair())
                        after = emit_dot(builder, self.instruction, *factors)
                        builder.store(after, slot)
        return [[self._add([builder.load(part) for part in slot]) for slot in row] for row in slots]

    def _largest_pair(self):
        """Return what two products may come to."""
        largest_code = 2 ** (8 // self.num_parts) - 1
        is_narrow = not (self.keeps_sums or self.is_coarse)
        return 2 * largest_code * (BATCH_LEVELS if is_narrow else QUERY_LEVELS)

    def _load_codes(self, i, vector):
        first = self.builder.mul(self.plus(self.value["place"], i), self.shape["packed"][1])
        return self.load("packed", self.times(self.builder.add(first, vector), 64), I32_LANES)

    def _emit_start(self, j):
        """Return what the sums start with: what codes 128 lower would lack."""
        if not self.is_signed:
            return splat_constant(0)
        total = self.load("total", self.times(self.plus(self.value["q"], j), 4), I32)
        return splat(self.builder, self.builder.mul(total, I32(128)))

    def _emit_part(self, vector, part):
        """Return one code of each byte."""
        if self.num_parts == 1:
            flip = splat_constant(0x80808080)
            return self.builder.xor(vector, flip) if self.is_signed else vector
        return one_code(self.builder, vector, part, 8 // self.num_parts)

    def _weigh(self, sums):
        """Return the sums of all planes so far, and keep them for the next."""
        if not self.keeps_sums:
            return sums
        weight = self.builder.trunc(self.value["weight"], I32)
        sums = self.builder.shl(sums, splat(self.builder, weight))
        if self.has_start:
            sums = self.builder.add(sums, self.load("sums", I64(0), I32_LANES))
        self.store("sums", I64(0), sums)
        return sums

    def _emit_comparison(self, sums, gain, offset, bounds, pair):
        """Return 16 bits: gain * (scale * sums + base + length * e + residual * n) + offset >= t.

        ``e`` and ``n`` are the block's bounds. False only if the comparison holds and is false.
        """
        builder = self.builder
        query = self.plus(self.value["q"], pair % self.num_queries)
        row = self.times(query, 4 * NUM_FACTS)
        scale, threshold = (self.load("fact", self.plus(row, 4 * n), F32) for n in range(2))
        stage = builder.add(row, self.times(self.value["stage"], 4 * STAGE_FACTS))
        base, length, residual = (
            self.load("fact", self.plus(stage, 4 * n), F32) for n in (BASE, LENGTH, RESIDUAL)
        )
        margin = builder.fadd(builder.fmul(length, bounds[0]), builder.fmul(residual, bounds[1]))
        margin = splat(builder, builder.fadd(base, margin))
        number = builder.sitofp(sums, F32_LANES)
        score = self._fma(gain, self._fma(splat(builder, scale), number, margin), offset)
        self.store("upper", I64(4 * LANES * pair), score)
        is_kept = builder.fcmp_unordered(">=", score, splat(builder, threshold))
        return builder.bitcast(is_kept, I16)

    def _load_offset(self, block):
        """Return the block's offsets; zeros if the metric has none. The choice costs no branch."""
        zeros = self.builder.bitcast(self.zeros, I8.as_pointer())
        there = self.builder.gep(
            self.pointer["offset"], [self.times(block, 4 * LANES)], source_etype=I8
        )
        has_offset = self.builder.icmp_signed("!=", self.shape["offset"][1], I64(0))
        address = self.builder.select(has_offset, there, zeros)
        return self.builder.load(self.builder.bitcast(address, F32_LANES.as_pointer()), align=1)

    def _load_bounds(self, block):
        row = self.builder.mul(block, self.times(self.shape["bound"][1], 4))
        first = self.builder.add(row, self.times(self.value["stage"], 8))
        return [self.load("bound", self.plus(first, n), F32) for n in (0, 4)]

    def _add(self, vectors):
        total = vectors[0]
        for vector in vectors[1:]:
            total = self.builder.add(total, vector)
        return total

    def _fma(self, *arguments):
        return call_llvm(self.builder, "llvm.fma.v16f32", F32_LANES, list(arguments))


def _make_plain_tile(num_blocks, num_queries, *, keeps_sums, has_start):
    """Return the same in NumPy: the definition, and what runs when Numba is switched off."""

    def scan_tile(
        stored, packed, place, shifts, weight, code, total, fact, q, gain, offset, bound, b, stage,
        sums, upper, mask
    ):  # fmt: skip
        width = 8 // len(shifts)
        for i in range(num_blocks):
            byte = np.ascontiguousarray(packed[place + i]).view(np.uint8).reshape(-1, LANES, 4)
            parts = [byte >> shift & (2**width - 1) for shift in shifts]
            code_ND = np.stack(parts, axis=1).transpose(2, 0, 1, 3).reshape(LANES, -1)
            for j in range(num_queries):
                products = code_ND.astype(np.int32) @ code[q + j].astype(np.int32)
                if keeps_sums:
                    sums[:] = products = (products << weight) + (sums if has_start else 0)
                scale, threshold = fact[q + j, :2]
                base, length, residual = fact[q + j, BASE + STAGE_FACTS * stage :][:3]
                lost, kept = bound[b + i, 2 * stage : 2 * stage + 2]
                margin = base + (length * lost + residual * kept)
                score = gain[b + i] * (scale * products.astype(np.float32) + margin)
                score = score + offset[b + i] if offset.size else score
                upper[i, j] = score
                mask[i, j] = np.packbits(~(score < threshold), bitorder="little").view(np.uint16)[0]
        return int(np.bitwise_or.reduce(mask[:num_blocks, :num_queries], axis=None))

    return scan_tile


_make = _make_plain_tile if config.DISABLE_JIT else _make_tile
scan_first = _make(1, 1, keeps_sums=True, has_start=False)
scan_rest = _make(1, 1, keeps_sums=True, has_start=True)
scan_batch = _make(BATCH_BLOCKS, BATCH_QUERIES, keeps_sums=False, has_start=False)
