"""Compiled: scans that keep each query's best rows. Shapes: Q queries, G rows, D values, K kept.

Every scan is a filter before one exact score. The filter bounds a row's score from above, out of
codes or in float32; only a row whose bound reaches the worst score kept is scored in float64, from
the float32 or float16 row itself, and offered to the heap. The answer is thus the float64 answer,
whatever the filter was, and a pair's score depends on its two rows alone.

    codes of a block --> upper bounds --(few rows)--> float64 score --> heap --> threshold --+
                              ^                                                              |
                              +--------------------------------------------------------------+

Larger is better in here: a squared distance travels with a minus.
"""
# Numba infers the types here, and has no stubs.
# mypy: ignore-errors

import numpy as np
from numba import njit

from cmpc_kernels._compiled_codes import COSINE, FASTMATH, IP, L2, encode_blocks
from cmpc_kernels._tiles import (
    BATCH_BLOCKS,
    BATCH_QUERIES,
    LENGTH,
    SCALE,
    THRESHOLD,
    scan_batch,
    scan_single,
)
from cmpc_kernels.intrinsics import LANES, as_float32, prefetch_row

# Rows that ``scan_plain`` encodes at a time: with their codes they fit a second-level cache.
CHUNK_VALUES = 1 << 16

__all__ = ["scan_codes", "scan_plain", "scan_rows", "settle"]


@njit(cache=True, nogil=True)
def is_worse(score, item, other_score, other_item):
    """Say whether an item ranks below another: a lower score, or the same score and a higher id."""
    return score < other_score or (score == other_score and item > other_item)


@njit(cache=True, nogil=True)
def sift_down(score_K, id_K, size, score, item):
    """Replace the root, which is the worst of the first ``size`` entries, and restore the heap."""
    slot, child = 0, 1
    while child < size:
        right = child + 1
        if right < size and is_worse(score_K[right], id_K[right], score_K[child], id_K[child]):
            child = right
        if not is_worse(score_K[child], id_K[child], score, item):
            break
        score_K[slot], id_K[slot] = score_K[child], id_K[child]
        slot, child = child, 2 * child + 1
    score_K[slot], id_K[slot] = score, item


@njit(fastmath=FASTMATH, cache=True, nogil=True)
def exact_score(query_D, row_D, metric):
    """Return the score of one pair in float64; NaN if it has none."""
    score = 0.0
    if metric == L2:
        for d in range(query_D.size):
            difference = np.float64(query_D[d]) - np.float64(as_float32(row_D[d]))
            score -= difference * difference
        return score
    if metric == IP:
        for d in range(query_D.size):
            score += np.float64(query_D[d]) * np.float64(as_float32(row_D[d]))
        return score
    query_square = row_square = 0.0
    for d in range(query_D.size):
        query, row = np.float64(query_D[d]), np.float64(as_float32(row_D[d]))
        score += query * row
        query_square += query * query
        row_square += row * row
    if query_square == 0 or row_square == 0:
        return score  # zero, or NaN
    return score / np.sqrt(query_square) / np.sqrt(row_square)


@njit(cache=True, nogil=True)
def filter_threshold(score, length, metric):
    """Return, rounded down to float32, what a row's bound must reach to beat a score.

    Bounds are those of <q, x>, of <q, x> / |x|, or of <q, x> - |x|^2 / 2; ``length`` is |q|.
    """
    if metric == L2:
        score = (score + length * length) / 2 - 2.0**-50 * (abs(score) + length * length)
    elif metric == COSINE:
        score = score * length - 2.0**-50 * length
    rounded = np.float32(score)
    return rounded if rounded <= score else np.nextafter(rounded, np.float32(-np.inf))


@njit(cache=True, nogil=True)
def offer(score, item, length, metric, score_K, id_K, fact_F):
    """Keep an item if it beats the worst one kept, and raise the filter's threshold."""
    if score > -np.inf and is_worse(score_K[0], id_K[0], score, item):
        sift_down(score_K, id_K, score_K.size, score, item)
        if score_K[0] > -np.inf:
            fact_F[THRESHOLD] = filter_threshold(score_K[0], length, metric)


@njit(cache=True, nogil=True)
def coarse_score(packed, gain, offset, g, code_C, total, scale, shifts):
    """Return one row's score by its codes alone, in float64 from whole numbers."""
    b, lane, width = g // LANES, g % LANES, 8 // len(shifts)
    products = 0
    for v in range(packed.shape[1]):
        for part in range(len(shifts)):
            for i in range(4):
                value = np.int64(packed[b, v, lane, i]) >> (part * width) & (2**width - 1)
                products += value * np.int64(code_C[4 * (v * len(shifts) + part) + i])
    centred = products - total * (2**width - 1) / 2
    score = np.float64(gain[b, lane]) * (np.float64(scale) * centred)
    return score + np.float64(offset[b, lane]) if offset.size else score


@njit(cache=True, nogil=True)
def look_closer(
    bits, b, q, packed, gain, offset, shifts, code, total, fact, length_Q, query_QD, row_GD,
    first_id, num_rows, allow, metric, score_QK, id_QK,
):  # fmt: skip
    """Score the rows of a block that the filter let through, and offer them to one query's heap."""
    if row_GD is not None:
        for lane in range(LANES):
            if bits >> lane & 1 and b * LANES + lane < num_rows:
                prefetch_row(row_GD, b * LANES + lane)
    for lane in range(LANES):
        g = b * LANES + lane
        if not bits >> lane & 1 or g >= num_rows:
            continue
        item = first_id + g
        if allow.size and not allow[item]:
            continue
        if row_GD is None:
            score = coarse_score(packed, gain, offset, g, code[q], total[q], fact[q, SCALE], shifts)
        else:
            score = exact_score(query_QD[q], row_GD[g], metric)
        offer(score, item, length_Q[q], metric, score_QK[q], id_QK[q], fact[q])


@njit(cache=True, nogil=True)
def scan_codes(
    packed, gain, offset, bound, first_block, last_block, shifts, code, total, fact, length_Q,
    query_QD, row_GD, first_id, num_rows, allow, metric, score_QK, id_QK,
):  # fmt: skip
    """Offer the rows of some blocks to the heaps; row g, the g-th of ``packed``, is first_id + g.

    ``row_GD`` holds the rows, or is None: then their coarse scores are kept. ``code``, ``total``
    and ``fact`` are padded to whole tiles; ``allow`` is bool by id, or empty: all.
    """
    Q = query_QD.shape[0]
    mask = np.empty((BATCH_BLOCKS, BATCH_QUERIES), np.uint16)
    fact = fact.copy()  # a thread's thresholds are its own
    for q in range(Q):
        if score_QK[q, 0] > -np.inf:
            fact[q, THRESHOLD] = filter_threshold(score_QK[q, 0], length_Q[q], metric)
    b = first_block
    while Q > BATCH_QUERIES // 2 and b + BATCH_BLOCKS <= last_block:
        for q in range(0, Q, BATCH_QUERIES):
            if scan_batch(packed, gain, offset, bound, b, code, total, fact, q, shifts, mask):
                for i in range(BATCH_BLOCKS):
                    for j in range(min(BATCH_QUERIES, Q - q)):
                        if mask[i, j]:
                            look_closer(
                                mask[i, j], b + i, q + j, packed, gain, offset, shifts, code, total,
                                fact, length_Q, query_QD, row_GD, first_id, num_rows, allow,
                                metric, score_QK, id_QK,
                            )  # fmt: skip
        b += BATCH_BLOCKS
    for rest in range(b, last_block):
        for q in range(Q):
            if scan_single(packed, gain, offset, bound, rest, code, total, fact, q, shifts, mask):
                look_closer(
                    mask[0, 0], rest, q, packed, gain, offset, shifts, code, total, fact, length_Q,
                    query_QD, row_GD, first_id, num_rows, allow, metric, score_QK, id_QK,
                )  # fmt: skip


@njit(cache=True, nogil=True)
def scan_plain(
    row_GD, first_row, last_row, first_id, code, total, fact, length_Q, query_QD, allow, metric,
    score_QK, id_QK,
):  # fmt: skip
    """Do the same for rows without codes: give them 8-bit codes on the way, a chunk at a time."""
    D = row_GD.shape[1]
    num_blocks = max(2, CHUNK_VALUES // D // LANES)
    packed = np.empty((num_blocks, (D + 3) // 4, LANES, 4), np.uint8)
    gain, bound = np.empty((num_blocks, LANES), np.float32), np.empty((num_blocks, 2), np.float32)
    offset = np.empty((num_blocks, LANES if metric == L2 else 0), np.float32)
    for first in range(first_row, last_row, num_blocks * LANES):
        part_GD = row_GD[first : min(first + num_blocks * LANES, last_row)]
        stop = (part_GD.shape[0] + LANES - 1) // LANES
        encode_blocks(
            part_GD, metric, 8, packed[:stop].view(np.uint32)[:, :, :, 0], gain, offset, bound
        )
        scan_codes(
            packed, gain, offset, bound, 0, stop, (0,), code, total, fact, length_Q, query_QD,
            part_GD, first_id + first, part_GD.shape[0], allow, metric, score_QK, id_QK,
        )  # fmt: skip


@njit(fastmath=FASTMATH, cache=True, nogil=True)
def product_and_square(query_D, row_D):
    """Return <q, x> and |x|^2 in float32; their relative errors are below D 2^-23."""
    product = square = np.float32(0)
    for d in range(query_D.size):
        row = as_float32(row_D[d])
        product += query_D[d] * row
        square += row * row
    return product, square


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def scan_rows(
    row_GD, first_row, last_row, first_id, length_Q, query_QD, allow, metric, score_QK, id_QK
):
    """Do the same for few queries: the filter is float32, and reads each row once."""
    Q, D = query_QD.shape
    fact = np.full((Q, 5), -np.inf, np.float32)
    slack = np.float32((D + 16) * 2.0**-22)
    for q in range(Q):
        if score_QK[q, 0] > -np.inf:
            fact[q, THRESHOLD] = filter_threshold(score_QK[q, 0], length_Q[q], metric)
        fact[q, LENGTH] = length_Q[q]
    for g in range(first_row, last_row):
        row_D = row_GD[g]
        if allow.size and not allow[first_id + g]:
            continue
        for q in range(Q):
            product, square = product_and_square(query_QD[q], row_D)
            bound = upper_bound(product, square, fact[q, LENGTH], slack, metric)
            if bound < fact[q, THRESHOLD]:
                continue
            score = exact_score(query_QD[q], row_D, metric)
            offer(score, first_id + g, length_Q[q], metric, score_QK[q], id_QK[q], fact[q])


@njit(cache=True, nogil=True)
def settle(score_SQK, id_SQK):
    """Merge all shards into shard 0 and sort it, best first."""
    S, Q, K = score_SQK.shape
    for q in range(Q):
        best_K, id_K = score_SQK[0, q], id_SQK[0, q]
        for s in range(1, S):
            for k in range(K):
                score, item = score_SQK[s, q, k], id_SQK[s, q, k]
                if is_worse(best_K[0], id_K[0], score, item):
                    sift_down(best_K, id_K, K, score, item)
        for size in range(K - 1, 0, -1):
            score, item = best_K[size], id_K[size]
            best_K[size], id_K[size] = best_K[0], id_K[0]
            sift_down(best_K, id_K, size, score, item)
