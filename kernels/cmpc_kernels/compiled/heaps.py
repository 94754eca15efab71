"""Compiled: exact scores, and heaps that keep each query's best. Q queries, D values, K kept.

A heap holds the best so far of one query, float64 scores and int64 ids, the worst of them first:
in a list of 100 an item finds its place in seven steps. Larger is better in here: a squared
distance travels with a minus. Equal scores rank by lower id.
"""
# Numba infers the types here, and has no stubs.
# mypy: ignore-errors

import numpy as np

from cmpc_kernels.compiled.lane_sums import sum_products, sum_squared_differences
from cmpc_kernels.compiled.options import entrance, inner
from cmpc_kernels.metrics import COSINE, IP, L2

LOST = 2.0**-36  # of a sum of 65,536 numbers, in float64
MAX_HALVINGS = 24  # of the interval in which a threshold is looked for

__all__ = [
    "exact_score",
    "filter_threshold",
    "merge_shards",
    "offer",
    "round_down",
    "round_scores",
    "score_error",
    "threshold_reached_by",
]


@inner()
def is_worse(score, item, other_score, other_item):
    """Say whether an item ranks below another: a lower score, or the same score and a higher id."""
    return score < other_score or (score == other_score and item > other_item)


@inner()
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


@inner()
def exact_score(query_QD, q, row_GD, g, metric):
    """Return the score of one pair in float64, the same on every processor; NaN if it has none.

    The sums are those of ``lane_sums.py``; a cosine is <q, x> / |q| / |x|, divided in this order.
    """
    if metric == L2:
        return -sum_squared_differences(query_QD, q, row_GD, g)
    score = sum_products(query_QD, q, row_GD, g)
    if metric == IP:
        return score
    query_square = sum_products(query_QD, q, query_QD, q)
    row_square = sum_products(row_GD, g, row_GD, g)
    if query_square == 0 or row_square == 0:
        return score  # zero, or NaN
    return score / np.sqrt(query_square) / np.sqrt(row_square)


@inner()
def filter_threshold(score, length, metric):
    """Return, rounded down to float32, what a row's bound must reach to beat a score.

    Bounds are those of <q, x>, of <q, x> / |x|, or of <q, x> - |x|^2 / 2; ``length`` is |q|.
    """
    if metric == L2:
        score = (score + length * length) / 2 - LOST * abs(score)
    elif metric == COSINE:
        score *= length
    return round_down(score - score_error(length, metric))


@inner()
def score_error(length, metric):
    """Return by how much bounds of rows may differ that are equal by their float64 scores.

    A squared distance is rounded relative to itself, so to |q|^2 if the rows are far shorter. An
    inner product is rounded relative to |q| |x|, and a bound is farther than that from it.
    """
    return LOST * length * length if metric == L2 else LOST * length if metric == COSINE else 0.0


@inner()
def round_down(number):
    """Return the largest float32 that is not above."""
    rounded = np.float32(number)
    return rounded if rounded <= number else np.nextafter(rounded, np.float32(-np.inf))


@inner()
def offer(score, item, score_K, id_K):
    """Keep an item if it beats the worst one kept."""
    if score > -np.inf and is_worse(score_K[0], id_K[0], score, item):
        sift_down(score_K, id_K, score_K.size, score, item)


@inner()
def threshold_reached_by(score_N, num_kept, threshold):
    """Return a float32 threshold that ``num_kept`` scores reach, and hardly more.

    It is at least the given one. -inf is no score. Counting is a loop over vectors: halving an
    interval costs less than sorting.
    """
    low, high = np.float32(np.inf), np.float32(-np.inf)
    for n in range(score_N.size):
        score = score_N[n]
        high = score if score > high else high
        low = score if -np.inf < score < low else low
    low = threshold if low < threshold else low
    if not high < np.inf:
        return threshold
    lowest = middle = low
    for _ in range(MAX_HALVINGS):
        num = np.int32(0)
        for n in range(score_N.size):
            num += np.int32(score_N[n] >= middle)
        if num < num_kept and middle == lowest:
            return threshold
        if num < num_kept:
            high = middle
        else:
            low = middle
        if num == num_kept:
            break
        middle = low + (high - low) * np.float32(0.5)
    return low


@entrance()
def round_scores(score_QK, rounded_QK):
    """Fill float32 scores; what float32 cannot hold is infinite. (NumPy would warn, or be told.)"""
    for q in range(score_QK.shape[0]):
        for k in range(score_QK.shape[1]):
            rounded_QK[q, k] = np.float32(score_QK[q, k])


@entrance()
def merge_shards(score_SQK, id_SQK):
    """Merge all shards into shard 0 and sort it, best first."""
    for q in range(score_SQK.shape[1]):
        best_K, id_K = score_SQK[0, q], id_SQK[0, q]
        for s in range(1, score_SQK.shape[0]):
            for k in range(best_K.size):
                offer(score_SQK[s, q, k], id_SQK[s, q, k], best_K, id_K)
        for size in range(best_K.size - 1, 0, -1):
            score, item = best_K[size], id_K[size]
            best_K[size], id_K[size] = best_K[0], id_K[0]
            sift_down(best_K, id_K, size, score, item)
