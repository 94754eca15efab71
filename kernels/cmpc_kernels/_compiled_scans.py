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

from cmpc_kernels._compiled_codes import (
    COSINE,
    FASTMATH,
    IP,
    L2,
    encode_block,
    num_stages,
    unpack_block,
)
from cmpc_kernels._tiles import (
    BATCH_BLOCKS,
    BATCH_QUERIES,
    NUM_FACTS,
    SCALE,
    THRESHOLD,
    scan_batch,
    scan_first,
    scan_rest,
)
from cmpc_kernels.intrinsics import LANES, as_float32, prefetch_row

NUM_WAITING = 8  # hits that wait for one another: few, as a late score is a late threshold

__all__ = ["scan_plain", "scan_rows", "scan_singly", "scan_together", "settle"]


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
def coarse_sum(packed, rest, bits, g, code_C):
    """Return the products of one row's codes with a query's bytes, summed."""
    b, lane, width = g // LANES, g % LANES, min(bits, 4)
    parts, mask = 8 // width, 2**width - 1
    products = 0
    for v in range(packed.shape[1]):
        high, low = np.int64(packed[b, v, lane]), np.int64(0)
        if bits == 8:
            low = np.int64(rest[b, v, lane])
        for part in range(parts):
            for i in range(4):
                shift = 8 * i + part * width
                value = high >> shift & mask
                if bits == 8:
                    value = 16 * value + (low >> shift & mask)
                products += value * np.int64(code_C[4 * (v * parts + part) + i])
    return products


@njit(cache=True, nogil=True)
def look_closer(
    hit_N3, num_hits, sums, bits, packed, rest, gain, offset, code, total, fact, length_Q, query_QD,
    row_GD, first_id, num_rows, allow, metric, score_QK, id_QK,
):  # fmt: skip
    """Score rows that the filter let through, and offer them to their query's heap.

    A hit is a query, a block and 16 bits. ``sums`` holds its sums by lane, or nothing.
    """
    for n in range(num_hits):
        q, b, lanes = hit_N3[n]
        for lane in range(LANES):
            g = b * LANES + lane
            if not lanes >> lane & 1 or g >= num_rows:
                continue
            item = first_id + g
            if allow.size and not allow[item]:
                continue
            if row_GD.size:
                score = exact_score(query_QD[q], row_GD[g], metric)
            else:
                products = np.int64(sums[n, lane]) if sums.size else np.int64(0)
                if not sums.size:  # a batch keeps no sums
                    products = coarse_sum(packed, rest, bits, g, code[q])
                centred = products - total[q] * (2**bits - 1) / 2
                score = np.float64(gain[b, lane]) * (np.float64(fact[q, SCALE]) * centred)
                if offset.size:
                    score += np.float64(offset[b, lane])
            offer(score, item, length_Q[q], metric, score_QK[q], id_QK[q], fact[q])


@njit(cache=True, nogil=True)
def raise_thresholds(score_QK, length_Q, metric, fact):
    """Begin where the heaps are."""
    for q in range(score_QK.shape[0]):
        if score_QK[q, 0] > -np.inf:
            fact[q, THRESHOLD] = filter_threshold(score_QK[q, 0], length_Q[q], metric)


@njit(cache=True, nogil=True)
def scan_singly(
    packed, rest, bits, gain, offset, bound, first_block, last_block, code, total, fact, length_Q,
    query_QD, row_GD, first_id, num_rows, allow, metric, score_QK, id_QK,
):  # fmt: skip
    """Offer the rows of some blocks to every heap, one block and one query at a time.

    Row g, the g-th of ``packed``, has the id first_id + g. ``row_GD`` holds the rows, or none:
    then their coarse scores are kept. ``packed`` and ``rest`` come as uint32 [B, V, 16]; ``code``,
    ``total`` and ``fact`` are padded to whole tiles; ``allow`` is bool by id, or empty: all.

    The branches stand here, not in a function of their own: Numba counts the references of every
    array at each call, which costs more than a block. For the same reason hits wait for others,
    while memory fetches their rows.
    """
    Q, waiting = query_QD.shape[0], 0
    hit_N3, sums_N = np.empty((NUM_WAITING, 3), np.int64), np.empty((NUM_WAITING, LANES), np.int32)
    sums, mask = np.empty(LANES, np.int32), np.empty((1, 1), np.uint16)
    fact = fact.copy()  # a thread's thresholds are its own
    raise_thresholds(score_QK, length_Q, metric, fact)
    for b in range(first_block, last_block):
        for q in range(Q):
            if bits == 8:
                hits = scan_first(
                    packed, b, (0, 4), 4, code, total, fact, q, gain, offset, bound, b, 0,
                    sums, mask,
                )  # fmt: skip
                if hits:
                    hits = scan_rest(
                        rest, b, (0, 4), 0, code, total, fact, q, gain, offset, bound, b, 1,
                        sums, mask,
                    )  # fmt: skip
            elif bits == 4:
                hits = scan_first(
                    packed, b, (0, 4), 0, code, total, fact, q, gain, offset, bound, b, 0,
                    sums, mask,
                )  # fmt: skip
            elif bits == 2:
                hits = scan_first(
                    packed, b, (0, 2, 4, 6), 0, code, total, fact, q, gain, offset, bound, b, 0,
                    sums, mask,
                )  # fmt: skip
            else:
                hits = scan_first(
                    packed, b, (0, 1, 2, 3, 4, 5, 6, 7), 0, code, total, fact, q, gain, offset,
                    bound, b, 0, sums, mask,
                )  # fmt: skip
            if hits:
                hit_N3[waiting, 0], hit_N3[waiting, 1], hit_N3[waiting, 2] = q, b, hits
                for lane in range(LANES):
                    sums_N[waiting, lane] = sums[lane]
                    if row_GD.size and hits >> lane & 1:
                        prefetch_row(row_GD, b * LANES + lane)
                waiting += 1
            if waiting == NUM_WAITING or (waiting and b == last_block - 1 and q == Q - 1):
                look_closer(
                    hit_N3, waiting, sums_N, bits, packed, rest, gain, offset, code, total, fact,
                    length_Q, query_QD, row_GD, first_id, num_rows, allow, metric, score_QK, id_QK,
                )  # fmt: skip
                waiting = 0


@njit(cache=True, nogil=True)
def scan_together(
    packed, rest, bits, gain, offset, bound, first_block, last_block, code, total, fact, length_Q,
    query_QD, row_GD, first_id, num_rows, allow, metric, score_QK, id_QK,
):  # fmt: skip
    """Do the same for many queries, a tile at a time; blocks must fill the tiles."""
    byte = np.empty((BATCH_BLOCKS, code.shape[1] // 4, LANES), np.uint32)
    mask = np.empty((BATCH_BLOCKS, BATCH_QUERIES), np.uint16)
    fact = fact.copy()
    raise_thresholds(score_QK, length_Q, metric, fact)
    for b in range(first_block, last_block, BATCH_BLOCKS):
        for i in range(BATCH_BLOCKS):
            unpack_block(packed[b + i], rest[b + i], bits, byte[i])
        scan_bytes(
            byte, b, packed, rest, bits, gain, offset, bound, code, total, fact, length_Q,
            query_QD, row_GD, first_id, num_rows, allow, metric, score_QK, id_QK, mask,
        )  # fmt: skip


@njit(cache=True, nogil=True)
def scan_bytes(
    byte, b, packed, rest, bits, gain, offset, bound, code, total, fact, length_Q, query_QD, row_GD,
    first_id, num_rows, allow, metric, score_QK, id_QK, mask,
):  # fmt: skip
    """Offer the rows of a tile of blocks, in bytes, to every heap."""
    Q, stage, num_hits = query_QD.shape[0], num_stages(bits) - 1, 0
    hit_N3 = np.empty((BATCH_BLOCKS * BATCH_QUERIES, 3), np.int64)
    no_sums = np.empty((0, LANES), np.int32)
    for q in range(0, Q, BATCH_QUERIES):
        if not scan_batch(
            byte, 0, (0,), 0, code, total, fact, q, gain, offset, bound, b, stage, no_sums, mask
        ):
            continue
        num_hits = 0
        for i in range(BATCH_BLOCKS):
            for j in range(min(BATCH_QUERIES, Q - q)):
                if mask[i, j]:
                    hit_N3[num_hits, 0], hit_N3[num_hits, 1] = q + j, b + i
                    hit_N3[num_hits, 2] = mask[i, j]
                    num_hits += 1
        look_closer(
            hit_N3, num_hits, no_sums, bits, packed, rest, gain, offset, code, total, fact,
            length_Q, query_QD, row_GD, first_id, num_rows, allow, metric, score_QK, id_QK,
        )  # fmt: skip


@njit(cache=True, nogil=True)
def scan_plain(
    row_GD, first_row, last_row, first_id, code, total, fact, length_Q, query_QD, allow, metric,
    score_QK, id_QK,
):  # fmt: skip
    """Do the same for rows without codes: give them 8-bit codes on the way, a tile at a time."""
    num_numbers, tile_rows = code.shape[1] // 4, BATCH_BLOCKS * LANES
    byte = np.empty((BATCH_BLOCKS, num_numbers, LANES), np.uint32)
    gain = np.empty((BATCH_BLOCKS, LANES), np.float32)
    offset = np.empty((BATCH_BLOCKS, LANES if metric == L2 else 0), np.float32)
    bound = np.empty((BATCH_BLOCKS, 4), np.float32)
    value_D, code_C = np.empty(row_GD.shape[1], np.float32), np.empty(4 * num_numbers, np.uint8)
    mask = np.empty((BATCH_BLOCKS, BATCH_QUERIES), np.uint16)
    fact = fact.copy()
    raise_thresholds(score_QK, length_Q, metric, fact)
    for first in range(first_row, last_row, tile_rows):
        part_GD = row_GD[first : min(first + tile_rows, last_row)]
        for i in range(BATCH_BLOCKS):
            encode_block(
                part_GD, i * LANES, metric, 8, byte[i], gain[i], offset[i], bound[i], value_D,
                code_C,
            )  # fmt: skip
        scan_bytes(
            byte, 0, byte, byte, 8, gain, offset, bound, code, total, fact, length_Q, query_QD,
            part_GD, first_id + first, part_GD.shape[0], allow, metric, score_QK, id_QK, mask,
        )  # fmt: skip


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


@njit(fastmath=FASTMATH, cache=True, nogil=True)
def scan_rows(
    row_GD, first_row, last_row, first_id, length_Q, query_QD, allow, metric, score_QK, id_QK
):
    """Do the same for few queries: the filter is float32, and reads each row once."""
    Q, D = query_QD.shape
    fact = np.full((Q, NUM_FACTS), -np.inf, np.float32)
    raise_thresholds(score_QK, length_Q, metric, fact)
    slack = np.float32((D + 16) * 2.0**-22)
    for g in range(first_row, last_row):
        if allow.size and not allow[first_id + g]:
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
            score = exact_score(query_QD[q], row_GD[g], metric)
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
