"""Every compiled loop of cmpc. Shapes: Q queries, G gallery items, D dimensions, K kept, S shards.

One file on purpose: Numba's on-disk cache does not see a change in another file. The callers
check and allocate; what is here only fills arrays.

    query block --+                         shard 0's heaps --+
                  +--> 2 x 4 tile of scores --> ...           +--> settle --> best first
    gallery shard +                         shard 1's heaps --+

A tile, not a score matrix, lives between the arithmetic and the selection, so memory does not
grow with the gallery. Edges repeat the last row instead of taking a second code path: equal rows
then get bit-equal scores wherever they lie, and a tie is a tie.
"""
# Numba infers the types here, and has no stubs.
# mypy: ignore-errors

import numpy as np
from numba import njit, prange

__all__ = ["fill_ranks", "fill_scores", "fill_unit_rows", "scan_gallery", "settle"]

# All fast-math flags but nnan and ninf: empty slots hold -inf, and NaN must lose every comparison.
FASTMATH = {"nsz", "arcp", "contract", "afn", "reassoc"}

ITEM_BLOCK_VALUES = 2048  # 8 KiB: a part of any first-level cache
QUERY_BLOCK = 64  # 32 KiB at 128 dimensions: stays near the core while the gallery streams


@njit(fastmath=FASTMATH, cache=True)
def ip_tile(query_QD, q, gallery_GD, g):
    """Return the inner products of queries q, q+1 with items g .. g+3, query by query."""
    last_q, last_g = query_QD.shape[0] - 1, gallery_GD.shape[0] - 1
    q0, q1 = query_QD[q], query_QD[min(q + 1, last_q)]
    g0, g1 = gallery_GD[g], gallery_GD[min(g + 1, last_g)]
    g2, g3 = gallery_GD[min(g + 2, last_g)], gallery_GD[min(g + 3, last_g)]
    a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = np.float32(0)
    for d in range(query_QD.shape[1]):
        a0 += q0[d] * g0[d]
        a1 += q0[d] * g1[d]
        a2 += q0[d] * g2[d]
        a3 += q0[d] * g3[d]
        b0 += q1[d] * g0[d]
        b1 += q1[d] * g1[d]
        b2 += q1[d] * g2[d]
        b3 += q1[d] * g3[d]
    return a0, a1, a2, a3, b0, b1, b2, b3


@njit(fastmath=FASTMATH, cache=True)
def l2_tile(query_QD, q, gallery_GD, g):
    """Return minus the squared distances, in ``ip_tile``'s order.

    Differences are squared one by one: |q|^2 + |g|^2 - 2<q, g> is faster, and cancels near zero.
    """
    last_q, last_g = query_QD.shape[0] - 1, gallery_GD.shape[0] - 1
    q0, q1 = query_QD[q], query_QD[min(q + 1, last_q)]
    g0, g1 = gallery_GD[g], gallery_GD[min(g + 1, last_g)]
    g2, g3 = gallery_GD[min(g + 2, last_g)], gallery_GD[min(g + 3, last_g)]
    a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = np.float32(0)
    for d in range(query_QD.shape[1]):
        a0 -= (q0[d] - g0[d]) * (q0[d] - g0[d])
        a1 -= (q0[d] - g1[d]) * (q0[d] - g1[d])
        a2 -= (q0[d] - g2[d]) * (q0[d] - g2[d])
        a3 -= (q0[d] - g3[d]) * (q0[d] - g3[d])
        b0 -= (q1[d] - g0[d]) * (q1[d] - g0[d])
        b1 -= (q1[d] - g1[d]) * (q1[d] - g1[d])
        b2 -= (q1[d] - g2[d]) * (q1[d] - g2[d])
        b3 -= (q1[d] - g3[d]) * (q1[d] - g3[d])
    return a0, a1, a2, a3, b0, b1, b2, b3


@njit(fastmath=FASTMATH, cache=True)
def is_worse(score, item, other_score, other_item):
    """Say whether an item ranks below another: a lower score, or the same score and a higher id."""
    return score < other_score or (score == other_score and item > other_item)


@njit(fastmath=FASTMATH, cache=True)
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


@njit(fastmath=FASTMATH, cache=True)
def scan_block(query_QD, gallery_GD, first_id, is_l2, score_QK, id_QK):
    """Offer every item of one shard to the heaps of one block of queries.

    Items are copied a few at a time: the copy reads memory in one stream, which the prefetcher
    follows, where a tile alone would read four.
    """
    G, D = gallery_GD.shape
    item_BD = np.empty((max(4, ITEM_BLOCK_VALUES // D // 4 * 4), D), np.float32)
    B = item_BD.shape[0]
    for g in range(0, G, B):
        stop = min(B, G - g)
        source, target = gallery_GD[g : g + stop].ravel(), item_BD[:stop].ravel()
        for n in range(source.size):
            target[n] = source[n]
        for q in range(0, query_QD.shape[0], 2):
            for b in range(0, stop, 4):
                if is_l2:
                    tile = l2_tile(query_QD, q, item_BD, b)
                else:
                    tile = ip_tile(query_QD, q, item_BD, b)
                offer_tile(tile, first_id + g + b, min(4, stop - b), score_QK[q:], id_QK[q:])


@njit(fastmath=FASTMATH, cache=True)
def offer_tile(tile, first_id, num_items, score_QK, id_QK):
    """Keep what beats the worst that the first two heaps hold."""
    for i in range(min(2, score_QK.shape[0])):
        for j in range(num_items):
            score = tile[4 * i + j]
            if score > score_QK[i, 0]:  # ids ascend, so an equal score comes too late
                sift_down(score_QK[i], id_QK[i], id_QK.shape[1], score, first_id + j)


@njit(parallel=True, fastmath=FASTMATH, cache=True)
def scan_gallery(query_QD, gallery_GD, first_id, is_l2, score_SQK, id_SQK):
    """Offer every item to heaps that may already hold some; row g has the id first_id + g."""
    Q, G, S = query_QD.shape[0], gallery_GD.shape[0], score_SQK.shape[0]
    num_blocks = (Q + QUERY_BLOCK - 1) // QUERY_BLOCK
    for work in prange(num_blocks * S):  # a pair of block and shard owns its heaps
        s = work % S
        q, q_stop = work // S * QUERY_BLOCK, min(work // S * QUERY_BLOCK + QUERY_BLOCK, Q)
        g, g_stop = G * s // S, G * (s + 1) // S
        scan_block(
            query_QD[q:q_stop],
            gallery_GD[g:g_stop],
            first_id + g,
            is_l2,
            score_SQK[s, q:q_stop],
            id_SQK[s, q:q_stop],
        )


@njit(parallel=True, fastmath=FASTMATH, cache=True)
def settle(score_SQK, id_SQK):
    """Merge all shards into shard 0 and sort it, best first."""
    S, Q, K = score_SQK.shape
    for q in prange(Q):
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


@njit(parallel=True, fastmath=FASTMATH, cache=True)
def fill_unit_rows(row_ND, unit_ND):
    """Divide each row by its length, which float64 holds for any float32 row; zero stays zero."""
    for n in prange(row_ND.shape[0]):
        square = np.float64(0)
        for d in range(row_ND.shape[1]):
            square += np.float64(row_ND[n, d]) * np.float64(row_ND[n, d])
        length = np.sqrt(square) if square != 0 else np.float64(1)
        for d in range(row_ND.shape[1]):
            unit_ND[n, d] = np.float32(np.float64(row_ND[n, d]) / length)


@njit(parallel=True, fastmath=FASTMATH, cache=True)
def fill_scores(query_QD, gallery_GD, score_QG):
    """Fill the matrix of inner products; a NaN becomes -inf, which no item can lose against."""
    Q, G = score_QG.shape
    for tile_g in prange((G + 3) // 4):
        g = 4 * tile_g
        for q in range(0, Q, 2):
            tile = ip_tile(query_QD, q, gallery_GD, g)
            for i in range(min(2, Q - q)):
                for j in range(min(4, G - g)):
                    score = tile[4 * i + j]
                    score_QG[q + i, g + j] = score if score == score else -np.inf


@njit(parallel=True, fastmath=FASTMATH, cache=True)
def fill_ranks(score_QG, first_Q, right_score_P, right_item_P, rank_P):
    """Rank each query's right items, given best first, among all its items; the best rank is 1.

    The right items of query q are the pairs from first_Q[q] up to first_Q[q + 1]. Each item is
    counted at the first right item that it is not behind; sums of these counts are the ranks.
    Sorting G items would cost more than finding each among the few right ones.
    """
    for q in prange(score_QG.shape[0]):
        first, stop = first_Q[q], first_Q[q + 1]
        rank_P[first:stop] = 0
        for g in range(score_QG.shape[1]):
            score = score_QG[q, g]
            if score < right_score_P[stop - 1]:
                continue  # behind them all, as most items are
            low, high = first, stop
            while low < high:
                middle = (low + high) // 2
                if is_worse(score, g, right_score_P[middle], right_item_P[middle]):
                    low = middle + 1
                else:
                    high = middle
            if low < stop:
                rank_P[low] += 1
        for p in range(first + 1, stop):
            rank_P[p] += rank_P[p - 1]
