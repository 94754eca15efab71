"""The compiled loops of the metrics. Shapes: B queries, C gallery items, P pairs, T buckets,
F prefixes.

Each takes a tile of scores, [B, C], that ``scores.fill_scores`` filled, and keeps counts only:
that is what makes a metric over Q x G pairs need no Q x G memory. A NaN score marks a pair to be
ignored. Callers split the queries among threads, whose parts never meet.
"""
# Numba infers the types here, and has no stubs.
# mypy: ignore-errors

import numpy as np

from cmpc_kernels.compiled.options import entrance, inner

__all__ = [
    "count_ahead",
    "count_keys_under",
    "count_prefixes",
    "fill_buckets",
    "ignore_same_camera",
]

# No fast-math: these loops compare and count, and a NaN must lose every comparison.


@inner()
def bucket_of(score, floor, scale, num_buckets):
    """Return the bucket of a score of at least ``floor``: no lower for a higher score."""
    return np.int64(min((score - floor) * scale, np.float32(num_buckets - 1)))


@entrance()
def fill_buckets(first_B, right_score_P, floor_B, scale_B, start_BT):
    """Count each query's right scores by bucket, from the last: start[t] are in t or higher ones.

    Right scores of -inf take no part: an item can't be behind them and matter.
    """
    last = start_BT.shape[1] - 1
    for b in range(first_B.shape[0] - 1):
        first, stop = first_B[b], first_B[b + 1]
        start_BT[b] = 0
        while stop > first and right_score_P[stop - 1] == -np.inf:
            stop -= 1
        floor_B[b], scale_B[b] = np.inf, 0  # above every score: nothing will be counted
        if stop > first:
            floor_B[b] = right_score_P[stop - 1]
            span = right_score_P[first] - floor_B[b]
            scale_B[b] = last / max(span, np.float32(1e-9))
        for p in range(first, stop):
            start_BT[b, bucket_of(right_score_P[p], floor_B[b], scale_B[b], last)] += 1
        for t in range(last - 1, -1, -1):
            start_BT[b, t] += start_BT[b, t + 1]


@entrance()
def count_ahead(
    score_BC, first_item, first_B, floor_B, scale_B, start_BT, right_score_P, right_item_P, count_P
):
    """Count each item once, at the first right item of its query that it is not behind.

    The right items of query b are the pairs from first_B[b] up to first_B[b + 1], best first, so
    the running sum of their counts is their ranks. Its bucket tells an item's place but for the
    right items in the same bucket, mostly none: a branch that is well predicted.
    """
    last = start_BT.shape[1] - 1
    for b in range(score_BC.shape[0]):
        first, floor, scale = first_B[b], floor_B[b], scale_B[b]
        for c in range(score_BC.shape[1]):
            score = score_BC[b, c]
            if not score >= floor:
                continue  # behind them all, or ignored
            bucket = bucket_of(score, floor, scale, last)
            low, high = first + start_BT[b, bucket + 1], first + start_BT[b, bucket]
            stop = first + start_BT[b, 0]
            while low < high:
                middle = (low + high) // 2
                right_score = right_score_P[middle]
                if score < right_score or (
                    score == right_score and first_item + c > right_item_P[middle]
                ):
                    low = middle + 1
                else:
                    high = middle
            if low < stop:
                count_P[low] += 1


@entrance()
def ignore_same_camera(score_BC, label_B, camera_B, item_label_C, item_camera_C):
    """Ignore each pair that shows one identity to one camera."""
    for b in range(score_BC.shape[0]):
        for c in range(score_BC.shape[1]):
            if item_label_C[c] == label_B[b] and item_camera_C[c] == camera_B[b]:
                score_BC[b, c] = np.nan


@inner()
def ordered_key(bits):
    """Map a float32's bits to 0 .. 2^32 - 1 in the order of the numbers; -1 for NaN."""
    if bits & 0x7FFFFFFF > 0x7F800000:
        return np.int64(-1)
    if bits < 0:  # sign and magnitude, to two's complement; -0 equals 0
        bits = np.int64(0) - (np.int64(bits) & 0x7FFFFFFF)
    return np.int64(bits) + 0x80000000


@entrance()
def count_prefixes(bit_BC, label_B, item_label_C, count_2H):
    """Count pairs by the upper half of their score's key: impostors, then genuine ones."""
    for b in range(bit_BC.shape[0]):
        for c in range(bit_BC.shape[1]):
            key = ordered_key(bit_BC[b, c])
            if key >= 0:
                kind = 1 if label_B[b] == item_label_C[c] else 0
                count_2H[kind, key >> 16] += 1


@entrance()
def count_keys_under(prefix_F, bit_BC, label_B, item_label_C, count_F2L):
    """Count pairs by the lower half of their key, those under one of a few prefixes."""
    for b in range(bit_BC.shape[0]):
        for c in range(bit_BC.shape[1]):
            key = ordered_key(bit_BC[b, c])
            for f in range(prefix_F.shape[0]):
                if key >> 16 == prefix_F[f]:
                    kind = 1 if label_B[b] == item_label_C[c] else 0
                    count_F2L[f, kind, key & 0xFFFF] += 1
