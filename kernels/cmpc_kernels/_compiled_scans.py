"""Compiled: walks over a gallery that find each query's best rows. Q queries, D values, K kept.

Every walk is a filter before exact scores. The filter bounds a row's score from above, out of
codes or in float32; only a row whose bound reaches the query's threshold may be among its best, and
is scored in float64, from the float32 or float16 row itself, at once or when it has stood the test
of the rows behind it (``_compiled_candidates.py``). The answer is thus the float64 answer, whatever
the filter was, and a pair's score depends on its two rows alone.

Arguments are those of ``_scan_arguments.py``; row 0 of the gallery is the first of block 0. Larger
is better in here: a squared distance travels with a minus.
"""
# Numba infers the types here, and has no stubs.
# mypy: ignore-errors

import numpy as np
from numba import njit

from cmpc_kernels._compiled_candidates import collect
from cmpc_kernels._compiled_codes import COSINE, L2, encode_block, num_stages
from cmpc_kernels._compiled_heaps import exact_score, filter_threshold, offer
from cmpc_kernels._compiling import ENTRANCE, FASTMATH, INNER
from cmpc_kernels._tiles import (
    BATCH_BLOCKS,
    BATCH_QUERIES,
    THRESHOLD,
    scan_batch,
    scan_first,
    scan_rest,
    unpack,
)
from cmpc_kernels.intrinsics import LANES, as_float32

__all__ = ["scan_plain", "scan_rows", "scan_singly", "scan_together"]

# A number with a type: for one that is written out, Numba compiles what is called once more.
ZERO = np.int64(0)


@njit(**ENTRANCE)
def scan_singly(codes, first_block, last_block, query, gallery, heaps, scratch):
    """Offer the rows of some blocks to every heap, one block and one query at a time."""
    packed, rests, shifts, bits = codes.packed, codes.rests, codes.shifts, codes.bits
    gains, offsets, bounds = codes.gains, codes.offsets, codes.bounds
    code, total, fact, Q = query.codes, query.totals, query.facts, query.rows.shape[0]
    sums, upper, mask = scratch.sums, scratch.tile_uppers, scratch.masks
    hit_N3, upper_NL = scratch.hits, scratch.hit_uppers
    waiting, weight = ZERO, 4 if bits == 8 else 0
    for b in range(first_block, last_block):
        for q in range(Q):
            hits = scan_first(
                packed, b, shifts, weight, code, total, fact, q, gains, offsets, bounds, b, 0,
                sums, upper, mask,
            )  # fmt: skip
            if hits and bits == 8:
                hits = scan_rest(
                    rests, b, shifts, 0, code, total, fact, q, gains, offsets, bounds, b, 1,
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


@njit(**ENTRANCE)
def scan_together(codes, first_block, last_block, query, gallery, heaps, scratch):
    """Do the same for many queries, a tile at a time; blocks must fill the tiles."""
    num_hits, Q = ZERO, query.rows.shape[0]
    for b in range(first_block, last_block, BATCH_BLOCKS):
        for i in range(BATCH_BLOCKS):
            unpack(codes.packed, codes.rests, b + i, codes.shifts, scratch.bytes, i)
        num_hits = scan_bytes(b, codes, query, scratch, num_hits)
        is_last = b == last_block - BATCH_BLOCKS
        if num_hits >= Q or is_last:
            collect(scratch, num_hits, is_last, ZERO, codes, query, gallery, heaps)
            num_hits = ZERO


@njit(inline="always")
def scan_bytes(b, codes, query, scratch, num_hits):
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
            scratch.bytes, 0, (0,), 0, query.codes, query.totals, query.facts, q, codes.gains,
            codes.offsets, codes.bounds, b, stage, scratch.sums, upper, mask,
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


@njit(**ENTRANCE)
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
        num_hits = scan_bytes(ZERO, codes, query, scratch, ZERO)
        is_last = first + tile_rows >= last_row
        if num_hits or is_last:
            collect(scratch, num_hits, is_last, first, codes, query, gallery, heaps)


@njit(**INNER)
def upper_bound(product, square, length, slack, metric):
    """Return a bound of what ``filter_threshold`` speaks of; NaN where float32 cannot tell.

    ``slack`` is (D + 16) 2^-22: twice what the two sums, the root and the rest may be off by.
    Squares that underflow are made good by 2^-60 and 2^-130.
    """
    size = np.sqrt(square)
    if metric == COSINE:
        if not np.float32(2.0**-90) < square < np.float32(2.0**90):
            return np.float32(np.nan)
        return product / size + length * slack + np.float32(2.0**-130)
    bound = product + length * slack * (size + np.float32(2.0**-60)) + np.float32(2.0**-130)
    if metric == L2:
        bound -= square * (np.float32(0.5) - slack)
    return bound


@njit(fastmath=FASTMATH, **ENTRANCE)
def scan_rows(first_row, last_row, query, gallery, heaps):
    """Do the same for few queries: the filter is float32, and reads each row once."""
    query_QD, length_Q, metric = query.rows, query.lengths, gallery.metric
    row_GD, score_QK, id_QK = gallery.rows, heaps.scores, heaps.ids
    Q, D = query_QD.shape
    fact = query.facts
    slack = np.float32((D + 16) * 2.0**-22)
    for g in range(first_row, last_row):
        if gallery.allow.size and not gallery.allow[gallery.first_id + g]:
            continue
        for q in range(Q):
            product = square = np.float32(0)  # their relative errors are below D 2^-23
            for d in range(D):
                row = as_float32(row_GD[g, d])
                product += query_QD[q, d] * row
                square += row * row
            bound = upper_bound(product, square, np.float32(length_Q[q]), slack, metric)
            if bound < fact[q, THRESHOLD]:
                continue
            score = exact_score(query_QD, q, row_GD, g, metric)
            offer(score, gallery.first_id + g, score_QK[q], id_QK[q])
            if score_QK[q, 0] > -np.inf:
                fact[q, THRESHOLD] = filter_threshold(score_QK[q, 0], length_Q[q], metric)
