"""Compiled: walks over a gallery that find each query's best rows. Q queries, D values, K kept.

Every walk is a filter before exact scores. The filter bounds a row's score from above, out of
codes or in float32; only a row whose bound reaches the query's threshold may be among its best, and
is scored in float64, from the float32 or float16 row itself, at once or when it has stood the test
of the rows behind it (``candidates.py``). The answer is thus the float64 answer, whatever
the filter was, and a pair's score depends on its two rows alone.

Arguments are those of ``nearest/scan_arguments.py``; row 0 of the gallery is the first of block 0.
Larger is better in here: a squared distance travels with a minus.
"""
# Numba infers the types here, and has no stubs.
# mypy: ignore-errors

import numpy as np
from numba import njit

from cmpc_kernels.compiled.candidates import (
    ALL_LANES,
    add_candidates,
    collect,
    is_full,
    known_lower,
    make_room,
)
from cmpc_kernels.compiled.code_tiles import (
    BATCH_BLOCKS,
    BATCH_QUERIES,
    THRESHOLD,
    scan_batch,
    scan_first,
    scan_rest,
)
from cmpc_kernels.compiled.encoders import encode_block, num_stages
from cmpc_kernels.compiled.float_tiles import FLOAT_QUERIES, dot_queries, dot_query
from cmpc_kernels.compiled.heaps import filter_threshold
from cmpc_kernels.compiled.intrinsics import LANES, as_float32
from cmpc_kernels.compiled.options import entrance
from cmpc_kernels.compiled.unpacking import unpack
from cmpc_kernels.metrics import COSINE, L2

__all__ = ["scan_plain", "scan_rows", "scan_singly", "scan_together", "set_thresholds"]

# A number with a type: for one that is written out, Numba compiles what is called once more.
ZERO = np.int64(0)
LONGEST = np.float32(2.0**60)  # products of longer vectors may overflow


@entrance()
def set_thresholds(score_Q, query, metric):
    """Begin each query with the threshold of a score that its rows must reach; -inf is none."""
    for q in range(score_Q.size):
        if score_Q[q] > -np.inf:
            query.facts[q, THRESHOLD] = filter_threshold(score_Q[q], query.lengths[q], metric)


@entrance()
def scan_singly(codes, first_block, last_block, query, gallery, heaps, scratch):
    """Offer the rows of some blocks to every heap, one block and one query at a time."""
    packed, rests, shifts, bits = codes.packed, codes.rests, codes.shifts, codes.bits
    rows = gallery.rows
    gains, offsets, bounds = codes.gains, codes.offsets, codes.bounds
    code, total, fact, Q = query.codes, query.totals, query.facts, query.rows.shape[0]
    sums, upper, mask = scratch.sums, scratch.tile_uppers, scratch.masks
    hit_N3, upper_NL = scratch.hits, scratch.hit_uppers
    waiting, weight = ZERO, 4 if bits == 8 else 0
    for b in range(first_block, last_block):
        for q in range(Q):
            hits = scan_first(
                rows, packed, b, shifts, weight, code, total, fact, q, gains, offsets, bounds, b, 0,
                sums, upper, mask,
            )  # fmt: skip
            if hits and bits == 8:
                hits = scan_rest(
                    rows, rests, b, shifts, 0, code, total, fact, q, gains, offsets, bounds, b, 1,
                    sums, upper, mask,
                )  # fmt: skip
            if hits:
                hit_N3[waiting, 0], hit_N3[waiting, 1], hit_N3[waiting, 2] = q, b, hits
                for lane in range(LANES):
                    upper_NL[waiting, lane] = upper[0, 0, lane]
                waiting += 1
            is_last = b == last_block - 1 and q == Q - 1
            if waiting == hit_N3.shape[0] or is_last:
                collect(scratch, waiting, is_last, ZERO, codes, query, gallery, heaps)
                waiting = ZERO


@entrance()
def scan_together(codes, first_block, last_block, query, gallery, heaps, scratch):
    """Do the same for many queries, a tile at a time; blocks must fill the tiles."""
    num_hits, Q = ZERO, query.rows.shape[0]
    for b in range(first_block, last_block, BATCH_BLOCKS):
        for i in range(BATCH_BLOCKS):
            unpack(codes.packed, codes.rests, b + i, codes.shifts, scratch.bytes, i)
        num_hits = scan_bytes(b, codes, query, gallery, scratch, num_hits)
        is_last = b == last_block - BATCH_BLOCKS
        if num_hits >= Q or is_last:
            collect(scratch, num_hits, is_last, ZERO, codes, query, gallery, heaps)
            num_hits = ZERO


@njit(inline="always")
def scan_bytes(b, codes, query, gallery, scratch, num_hits):
    """Add the hits among a tile of blocks, in bytes, and all queries; return how many there are.

    Block b is the first, as in ``codes.gains``.
    """
    upper, mask, hit_N3, upper_NL = (
        scratch.tile_uppers,
        scratch.masks,
        scratch.hits,
        scratch.hit_uppers,
    )
    stage, Q = num_stages(codes.bits) - 1, query.rows.shape[0]
    for q in range(0, Q, BATCH_QUERIES):
        if not scan_batch(
            gallery.rows, scratch.bytes, 0, (0,), 0, query.codes, query.totals, query.facts, q,
            codes.gains, codes.offsets, codes.bounds, b, stage, scratch.sums, upper, mask,
        ):  # fmt: skip
            continue
        for i in range(BATCH_BLOCKS):
            for j in range(min(BATCH_QUERIES, Q - q)):
                if mask[i, j]:
                    hit_N3[num_hits, 0], hit_N3[num_hits, 1] = q + j, b + i
                    hit_N3[num_hits, 2] = mask[i, j]
                    for lane in range(LANES):
                        upper_NL[num_hits, lane] = upper[i, j, lane]
                    num_hits += 1
    return num_hits


@entrance()
def scan_plain(first_row, last_row, query, gallery, heaps, scratch, codes, room):
    """Do the same for rows without codes: give them 8-bit codes on the way, a tile at a time.

    ``codes`` are those in ``room``, as a scan sees them, and ``scratch`` has the same bytes.
    """
    row_GD, tile_rows = gallery.rows, BATCH_BLOCKS * LANES
    for first in range(first_row, last_row, tile_rows):
        part_GD = row_GD[first : min(first + tile_rows, last_row)]
        for i in range(BATCH_BLOCKS):
            encode_block(
                part_GD, i * LANES, gallery.metric, codes.bits, room.bytes[i], room.gains[i],
                room.offsets[i], room.bounds[i], room.row_values, room.row_codes,
            )  # fmt: skip
        num_hits = scan_bytes(ZERO, codes, query, gallery, scratch, ZERO)
        is_last = first + tile_rows >= last_row
        if num_hits or is_last:
            collect(scratch, num_hits, is_last, first, codes, query, gallery, heaps)


@entrance()
def scan_rows(first_row, last_row, query, gallery, heaps, scratch, room):
    """Do the same for fewer queries: the filter is float32, and reads each row once.

    ``room`` is ``FloatRoom``, of these queries.
    """
    row_GD, Q, upper_JL = gallery.rows, query.rows.shape[0], scratch.tile_uppers[0]
    for first in range(first_row, last_row, LANES):
        fill_tails(row_GD, first, last_row, room.tails)
        dot_query(row_GD, first, last_row, room.tails, room.queries, 0, upper_JL, room.squares)
        measure_rows(room, row_GD.shape[1], gallery.metric)
        is_last = first + LANES >= last_row
        for q in range(0, Q, FLOAT_QUERIES):
            if Q > 1:
                dot_queries(
                    row_GD, first, last_row, room.tails, room.queries, q, upper_JL, room.squares
                )
            for j in range(min(FLOAT_QUERIES, Q - q)):
                upper_L = upper_JL[j]
                num_left = bound_scores(room, query, q + j, upper_L, scratch.lane_lowers)
                if num_left:
                    add_candidates(
                        scratch, q + j, first, last_row, ALL_LANES, upper_L, query, gallery
                    )
                if is_last or is_full(scratch, q + j):
                    make_room(scratch, q + j, is_last, query, gallery, heaps)


@njit(inline="always")
def fill_tails(row_GD, first, last, tail_LT):
    """Copy what 16 rows have beyond a multiple of 16 numbers, in float32."""
    D = row_GD.shape[1]
    num_rest = D % tail_LT.shape[1]
    for lane in range(LANES if num_rest else 0):
        row = min(first + lane, last - 1)
        for n in range(num_rest):
            tail_LT[lane, n] = as_float32(row_GD[row, D - num_rest + n])


@njit(inline="always")
def measure_rows(room, D, metric):
    """Fill, by their squares, what turns inner products with 16 rows into bounds of scores.

    A score, as candidates have them, lies within loss + |q| loss_by_length of gain <q, x> + offset.
    (D + 16) 2^-22 is twice what the two sums, the root and the rest may be off by,
    2^-60 and 2^-130 make good what underflows. Sums that may overflow say nothing.
    """
    slack, tiny = np.float32((D + 16) * 2.0**-22), np.float32(2.0**-130)
    half, share = np.float32(0.5 if metric == L2 else 0), slack if metric == L2 else np.float32(0)
    # Without branches, and of a length that LLVM does not know: else it would not be vectors.
    for lane in range(room.squares.size):
        square = room.squares[lane]
        size = np.sqrt(square)
        loss = slack * (size + np.float32(2.0**-60))
        room.gains[lane], room.offsets[lane] = 1, -half * square
        room.losses[lane] = tiny + share * square
        room.losses_by_length[lane] = loss if size < LONGEST else np.float32(np.inf)
    for lane in range(room.squares.size if metric == COSINE else 0):
        square = room.squares[lane]
        is_known = np.float32(2.0**-90) < square < np.float32(2.0**90)
        room.gains[lane] = np.float32(1) / np.sqrt(square) if is_known else np.float32(np.nan)
        room.losses[lane] = tiny * room.gains[lane]  # what underflows is divided too
        room.losses_by_length[lane] = slack


@njit(inline="always")
def bound_scores(room, query, q, product_L, lower_L):
    """Turn inner products into upper bounds, fill the lower ones; return how many may count."""
    length, threshold = np.float32(query.lengths[q]), query.facts[q, THRESHOLD]
    length = length if length < LONGEST else np.float32(np.inf)
    num_left = 0
    for lane in range(product_L.size):
        loss = room.losses[lane] + length * room.losses_by_length[lane]
        score = room.gains[lane] * product_L[lane] + room.offsets[lane]
        upper = score + loss
        product_L[lane], lower_L[lane] = upper, known_lower(upper, score - loss)
        num_left += not upper < threshold
    return num_left
