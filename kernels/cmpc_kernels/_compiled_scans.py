"""Compiled: walks over a gallery that find each query's best rows. Q queries, D values, K kept.

Every walk is a filter before exact scores. The filter bounds a row's score from above, out of
codes or in float32; only a row whose bound reaches the query's threshold may be among its best, and
is scored in float64, from the float32 or float16 row itself, at once or when it has stood the test
of the rows behind it (``_compiled_candidates.py``). The answer is thus the float64 answer, whatever
the filter was, and a pair's score depends on its two rows alone.

Larger is better in here: a squared distance travels with a minus.
"""
# Numba infers the types here, and has no stubs.
# mypy: ignore-errors

import numpy as np
from numba import njit

from cmpc_kernels._compiled_candidates import (
    CodeArrays,
    collect,
    no_candidates,
    raise_thresholds,
    score_all,
)
from cmpc_kernels._compiled_codes import (
    COSINE,
    FASTMATH,
    INNER,
    L2,
    encode_block,
    num_stages,
)
from cmpc_kernels._compiled_heaps import exact_score, filter_threshold, offer
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

NUM_WAITING = 8  # hits that wait for one another: few, as a late bound is a late threshold

__all__ = ["scan_plain", "scan_rows", "scan_singly", "scan_together"]


@njit(cache=True, nogil=True)
def scan_singly(codes, first_block, last_block, query, gallery, heaps):
    """Offer the rows of some blocks to every heap, one block and one query at a time.

    ``codes`` are ``CodeArrays``, ``query`` is ``QueryCodes``, padded to whole tiles, ``gallery``
    ``GalleryRows``, whose row 0 is the first of block 0, ``heaps`` the Q of one shard.

    The branches stand here, not in a function of their own: Numba counts the references of every
    array at each call, which costs more than a block. For the same reason hits wait for others.
    """
    packed, rests, bits = codes.packed, codes.rests, codes.bits
    gains, offsets, bounds = codes.gains, codes.offsets, codes.bounds
    code, total, Q, waiting = query.codes, query.totals, query.rows.shape[0], 0
    hit_N3, upper_NL = np.empty((NUM_WAITING, 3), np.int64), np.empty((NUM_WAITING, LANES), "f4")
    sums, upper = np.empty(LANES, np.int32), np.empty((1, 1, LANES), np.float32)
    mask = np.empty((1, 1), np.uint16)
    fact = raise_thresholds(query, gallery, heaps.scores)
    candidates = no_candidates(Q, heaps.ids.shape[1], gallery.stop)
    for b in range(first_block, last_block):
        for q in range(Q):
            if bits == 8:
                hits = scan_first(
                    packed, b, (0, 4), 4, code, total, fact, q, gains, offsets, bounds, b, 0,
                    sums, upper, mask,
                )  # fmt: skip
                if hits:
                    hits = scan_rest(
                        rests, b, (0, 4), 0, code, total, fact, q, gains, offsets, bounds, b, 1,
                        sums, upper, mask,
                    )  # fmt: skip
            elif bits == 4:
                hits = scan_first(
                    packed, b, (0, 4), 0, code, total, fact, q, gains, offsets, bounds, b, 0,
                    sums, upper, mask,
                )  # fmt: skip
            elif bits == 2:
                hits = scan_first(
                    packed, b, (0, 2, 4, 6), 0, code, total, fact, q, gains, offsets, bounds, b, 0,
                    sums, upper, mask,
                )  # fmt: skip
            else:
                hits = scan_first(
                    packed, b, (0, 1, 2, 3, 4, 5, 6, 7), 0, code, total, fact, q, gains, offsets,
                    bounds, b, 0, sums, upper, mask,
                )  # fmt: skip
            if hits:
                hit_N3[waiting, 0], hit_N3[waiting, 1], hit_N3[waiting, 2] = q, b, hits
                for lane in range(LANES):
                    upper_NL[waiting, lane] = upper[0, 0, lane]
                waiting += 1
            if waiting == NUM_WAITING or (waiting and b == last_block - 1 and q == Q - 1):
                collect(
                    hit_N3, upper_NL, waiting, 0, codes, query, fact, gallery, heaps, candidates
                )
                waiting = 0
    score_all(codes, query, fact, gallery, heaps, candidates)


@njit(cache=True, nogil=True)
def scan_together(codes, first_block, last_block, query, gallery, heaps):
    """Do the same for many queries, a tile at a time; blocks must fill the tiles."""
    packed, rests, bits, Q = codes.packed, codes.rests, codes.bits, query.rows.shape[0]
    gains, offsets, bounds = codes.gains, codes.offsets, codes.bounds
    code, total, sums = query.codes, query.totals, np.empty(LANES, np.int32)
    byte = np.empty((BATCH_BLOCKS, code.shape[1] // 4, LANES), np.uint32)
    hit_N3, upper_NL, upper, mask = room_for_hits(Q)
    fact = raise_thresholds(query, gallery, heaps.scores)
    candidates, num_hits = no_candidates(Q, heaps.ids.shape[1], gallery.stop), 0
    for b in range(first_block, last_block, BATCH_BLOCKS):
        for i in range(BATCH_BLOCKS):
            if bits == 8 or bits == 4:
                unpack(packed, rests, b + i, (0, 4), byte, i)
            elif bits == 2:
                unpack(packed, rests, b + i, (0, 2, 4, 6), byte, i)
            else:
                unpack(packed, rests, b + i, (0, 1, 2, 3, 4, 5, 6, 7), byte, i)
        num_hits = scan_bytes(
            byte, b, Q, bits, gains, offsets, bounds, code, total, fact, sums, upper, mask, hit_N3,
            upper_NL, num_hits,
        )  # fmt: skip
        if num_hits >= Q or (num_hits and b == last_block - BATCH_BLOCKS):
            collect(hit_N3, upper_NL, num_hits, 0, codes, query, fact, gallery, heaps, candidates)
            num_hits = 0
    score_all(codes, query, fact, gallery, heaps, candidates)


@njit(**INNER)
def room_for_hits(num_queries):
    """Return room for hits and their bounds, and for a tile's bounds and masks."""
    num_hits = (1 + BATCH_BLOCKS) * num_queries
    return (
        np.empty((num_hits, 3), np.int64),
        np.empty((num_hits, LANES), np.float32),
        np.empty((BATCH_BLOCKS, BATCH_QUERIES, LANES), np.float32),
        np.empty((BATCH_BLOCKS, BATCH_QUERIES), np.uint16),
    )


@njit(inline="always")
def scan_bytes(
    byte, b, num_queries, bits, gains, offsets, bounds, code, total, fact, sums, upper, mask,
    hit_N3, upper_NL, num_hits,
):  # fmt: skip
    """Add the hits among a tile of blocks, in bytes, and all queries; return how many there are.

    b is the place of the first block in ``gains``, ``offsets`` and ``bounds``. (Inlined: Numba
    would count the references of every array at each call, which costs as much as a few queries.)
    """
    stage = num_stages(bits) - 1
    for q in range(0, num_queries, BATCH_QUERIES):
        if not scan_batch(
            byte, 0, (0,), 0, code, total, fact, q, gains, offsets, bounds, b, stage, sums, upper,
            mask,
        ):  # fmt: skip
            continue
        for i in range(BATCH_BLOCKS):
            for j in range(min(BATCH_QUERIES, num_queries - q)):
                if mask[i, j]:
                    hit_N3[num_hits, 0], hit_N3[num_hits, 1] = q + j, b + i
                    hit_N3[num_hits, 2] = mask[i, j]
                    for lane in range(LANES):
                        upper_NL[num_hits, lane] = upper[i, j, lane]
                    num_hits += 1
    return num_hits


@njit(cache=True, nogil=True)
def scan_plain(first_row, last_row, query, gallery, heaps):
    """Do the same for rows without codes: give them 8-bit codes on the way, a tile at a time."""
    num_numbers, tile_rows = query.codes.shape[1] // 4, BATCH_BLOCKS * LANES
    row_GD, metric = gallery.rows, gallery.metric
    byte = np.empty((BATCH_BLOCKS, num_numbers, LANES), np.uint32)
    gain = np.empty((BATCH_BLOCKS, LANES), np.float32)
    offset = np.empty((BATCH_BLOCKS, LANES if metric == L2 else 0), np.float32)
    bound = np.empty((BATCH_BLOCKS, 4), np.float32)
    value_D, code_C = np.empty(row_GD.shape[1], np.float32), np.empty(4 * num_numbers, np.uint8)
    codes = CodeArrays(byte, byte, 8, gain, offset, bound)
    code, total, Q = query.codes, query.totals, query.rows.shape[0]
    sums, (hit_N3, upper_NL, upper, mask) = np.empty(LANES, np.int32), room_for_hits(Q)
    fact = raise_thresholds(query, gallery, heaps.scores)
    candidates = no_candidates(Q, heaps.ids.shape[1], gallery.stop)
    for first in range(first_row, last_row, tile_rows):
        part_GD = row_GD[first : min(first + tile_rows, last_row)]
        for i in range(BATCH_BLOCKS):
            encode_block(
                part_GD, i * LANES, metric, 8, byte[i], gain[i], offset[i], bound[i], value_D,
                code_C,
            )  # fmt: skip
        num_hits = scan_bytes(
            byte, 0, Q, 8, gain, offset, bound, code, total, fact, sums, upper, mask, hit_N3,
            upper_NL, 0,
        )  # fmt: skip
        if num_hits:
            collect(
                hit_N3, upper_NL, num_hits, first, codes, query, fact, gallery, heaps, candidates
            )
    score_all(codes, query, fact, gallery, heaps, candidates)


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


@njit(fastmath=FASTMATH, cache=True, nogil=True)
def scan_rows(first_row, last_row, query, gallery, heaps):
    """Do the same for few queries: the filter is float32, and reads each row once."""
    query_QD, length_Q, metric = query.rows, query.lengths, gallery.metric
    row_GD, score_QK, id_QK = gallery.rows, heaps.scores, heaps.ids
    Q, D = query_QD.shape
    fact = raise_thresholds(query, gallery, score_QK)
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
