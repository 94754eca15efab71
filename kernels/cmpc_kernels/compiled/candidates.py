"""Compiled: candidates, rows that may still be among a query's best, by bounds of their scores.

    codes of a block --> upper bounds --(few reach the threshold)--> candidates --> float64 scores
                              ^                                          |          --> heap
                              +---- threshold: K-th best lower bound <---+   once, when they are few

A bound is there anyway; an exact score reads a row and a heap takes it in seven steps or so. On
10,000 rows some 500 of them are for a while among a query's best 100. So candidates wait until
there is no room for more. Then the K-th best of their lower bounds becomes the threshold, and
those whose upper bounds do not reach it are forgotten: K rows are better, whatever they score.

Bounds are those of <q, x>, of <q, x> / |x|, or of <q, x> - |x|^2 / 2; larger is better. Arguments
are those of ``nearest/scan_arguments.py``.

What a scan needs for most hits is put in its place by Numba itself: a call would cost more than it
does. The rest are functions, which compile in less time.
"""
# Numba infers the types here, and has no stubs.
# mypy: ignore-errors

import numpy as np
from numba import njit, types
from numba.extending import overload

from cmpc_kernels.compiled.code_tiles import LENGTH, MARGIN, RESIDUAL, SCALE, STAGE_FACTS, THRESHOLD
from cmpc_kernels.compiled.encoders import num_stages
from cmpc_kernels.compiled.heaps import (
    exact_score,
    filter_threshold,
    offer,
    round_down,
    score_error,
    threshold_reached_by,
)
from cmpc_kernels.compiled.intrinsics import LANES, lowest_bit, prefetch_row
from cmpc_kernels.compiled.options import inner

__all__ = ["ALL_LANES", "add_candidates", "collect", "is_full", "known_lower", "make_room"]

ALL_LANES = 2**LANES - 1
NUM_AHEAD = 6  # rows that are on their way from memory while one is scored
LARGEST = np.float32(1e38)  # a bound beyond may have overflowed


@inner()
def collect(scratch, num_hits, is_last, first_row, codes, query, gallery, heaps):
    """Take in rows that the filter let through; after the last of them, score what is left.

    Row ``first_row`` is the first of block 0. At the end every query has its turn, behind the hits.
    """
    for n in range(num_hits + (heaps.ids.shape[0] if is_last else 0)):
        is_over = n >= num_hits
        q = n - num_hits if is_over else scratch.hits[n, 0]
        if not is_over:
            b, lanes = scratch.hits[n, 1], scratch.hits[n, 2]
            fill_lowers(scratch, n, q, b, lanes, codes, query.facts)
            row = first_row + b * LANES
            add_candidates(
                scratch, q, row, gallery.stop, lanes, scratch.hit_uppers[n], query, gallery
            )
        if is_over or is_full(scratch, q):
            make_room(scratch, q, is_over, query, gallery, heaps)


@njit(inline="always")
def fill_lowers(scratch, n, q, b, lanes, codes, fact_QF):
    """Fill what the scores of rows of a block are at least.

    An upper bound adds to what the codes say all that they may lack, and a margin for float32's
    rounding, of which half is more than enough for that of both bounds (``encode_queries``). So
    the lower bound is twice that below. The offset may be 2^-20 too high (``gain_and_offset``);
    2^-120 makes good what underflows. An offset that float32 cannot hold was cut off, which is well
    above the score: then nothing is known from below.
    """
    stage, bound_B2, offset_BL = num_stages(codes.bits) - 1, codes.bounds, codes.offsets
    column = STAGE_FACTS * stage
    spread = fact_QF[q, MARGIN + column]
    spread += fact_QF[q, LENGTH + column] * bound_B2[b, 2 * stage]
    spread += fact_QF[q, RESIDUAL + column] * bound_B2[b, 2 * stage + 1]
    spread *= np.float32(2 + 2.0**-10)
    while lanes:
        lane = lowest_bit(lanes)
        lanes &= lanes - 1
        offset = offset_BL[b, lane] if offset_BL.size else np.float32(0)
        upper = scratch.hit_uppers[n, lane]
        lower = upper - codes.gains[b, lane] * spread + offset * np.float32(2.0**-18)
        lower = lower if offset > -LARGEST else np.float32(-np.inf)
        scratch.lane_lowers[lane] = known_lower(upper, lower - np.float32(2.0**-120))


@njit(inline="always")
def known_lower(upper, lower):
    """Return a lower bound; -inf where nothing is known."""
    return lower if abs(upper) < LARGEST and abs(lower) < LARGEST else np.float32(-np.inf)


@njit(inline="always")
def add_candidates(scratch, q, row, stop, lanes, upper_L, query, gallery):
    """Take in rows ``row`` + lane of the lanes whose bits are set.

    ``upper_L`` has their upper bounds, ``scratch.lane_lowers`` the lower ones.
    """
    count, threshold = scratch.counts[q], query.facts[q, THRESHOLD]
    while lanes:
        lane = lowest_bit(lanes)
        lanes &= lanes - 1
        if upper_L[lane] < threshold or row + lane >= stop:
            continue
        if gallery.allow.size and not gallery.allow[gallery.first_id + row + lane]:
            continue
        scratch.uppers[q, count], scratch.rows[q, count] = upper_L[lane], row + lane
        scratch.lowers[q, count] = scratch.lane_lowers[lane]
        count += 1
    scratch.counts[q] = count


@njit(inline="always")
def is_full(scratch, q):
    """Say whether the next block's rows may find no room."""
    return scratch.counts[q] > scratch.rows.shape[1] - LANES


@inner()
def make_room(scratch, q, is_over, query, gallery, heaps):
    """Forget a query's candidates that cannot be among the best; score them if no rows follow."""
    num_kept = heaps.ids.shape[1]
    raise_threshold(
        scratch, q, num_kept, score_error(query.lengths[q], gallery.metric), query.facts
    )
    # If there are many yet, their scores are equal, or have no bounds.
    if is_over or scratch.counts[q] > scratch.rows.shape[1] - LANES - num_kept // 2:
        score_best_first(scratch, q, query, gallery, heaps)


@inner()
def raise_threshold(scratch, q, num_kept, error, fact_QF):
    """Raise a query's threshold as far as its candidates allow, and forget who do not reach it.

    ``error`` is that of exact scores: rows that are equal by them must stay.
    """
    upper_C, lower_C, row_C = scratch.uppers[q], scratch.lowers[q], scratch.rows[q]
    count, kept = scratch.counts[q], 0
    threshold = threshold_reached_by(lower_C[:count], num_kept, fact_QF[q, THRESHOLD])
    if threshold > fact_QF[q, THRESHOLD]:
        lower = round_down(np.float64(threshold) - error)
        threshold = lower if lower > fact_QF[q, THRESHOLD] else fact_QF[q, THRESHOLD]
    for c in range(count):
        upper_C[kept], lower_C[kept], row_C[kept] = upper_C[c], lower_C[c], row_C[c]
        kept += not upper_C[c] < threshold  # no branch: nobody could predict it
    fact_QF[q, THRESHOLD], scratch.counts[q] = threshold, kept


@inner()
def score_best_first(scratch, q, query, gallery, heaps):
    """Offer one query's candidates to its heap, the best bounds first: soon no other beats it."""
    upper_C, row_C, score_K = scratch.uppers[q], scratch.rows[q], heaps.scores[q]
    count, num_first = scratch.counts[q], score_K.size
    while count:
        bound = threshold_reached_by(upper_C[:count], num_first, np.float32(-np.inf))
        num_scored = move_forward(upper_C, row_C, count, bound)
        score_rows(row_C, num_scored, q, query, gallery, heaps)
        if score_K[0] > -np.inf:
            threshold = filter_threshold(score_K[0], query.lengths[q], gallery.metric)
            if threshold > query.facts[q, THRESHOLD]:
                query.facts[q, THRESHOLD] = threshold
        kept = 0
        for c in range(num_scored, count):
            upper_C[kept], row_C[kept] = upper_C[c], row_C[c]
            kept += not upper_C[c] < query.facts[q, THRESHOLD]
        count = kept
    scratch.counts[q] = 0


@inner()
def move_forward(upper_C, row_C, count, bound):
    """Exchange candidates so that those come first that reach the bound; return their number."""
    first, last = 0, count
    while first < last:
        if upper_C[first] < bound:
            last -= 1
            upper_C[first], upper_C[last] = upper_C[last], upper_C[first]
            row_C[first], row_C[last] = row_C[last], row_C[first]
        else:
            first += 1
    return first


@njit(inline="always")
def score_rows(row_C, count, q, query, gallery, heaps):
    """Offer the first ``count`` rows to a query's heap."""
    stored, score_K, id_K = gallery.rows, heaps.scores[q], heaps.ids[q]
    for c in range(-NUM_AHEAD, count):
        if c + NUM_AHEAD < count:
            prefetch_row(stored, row_C[c + NUM_AHEAD])
        if c < 0:
            continue
        score = row_score(stored, row_C[c], query, q, gallery.metric)
        offer(score, gallery.first_id + row_C[c], score_K, id_K)


def row_score(stored, row, query, q, metric):
    """Return a row's score in float64, or, if codes are all that is stored, what they say of it."""
    if isinstance(stored, tuple):
        return coarse_score(stored, row, query, q)
    return exact_score(query.rows, q, stored, row, metric)


@overload(row_score, inline="always")
def _row_score(stored, row, query, q, metric):
    """Choose by type, so that only one of them is compiled."""
    if isinstance(stored, types.BaseTuple):
        return lambda stored, row, query, q, metric: coarse_score(stored, row, query, q)
    return lambda stored, row, query, q, metric: exact_score(query.rows, q, stored, row, metric)


@inner()
def coarse_score(codes, row, query, q):
    """Return, in float64, what the codes say of a row's score."""
    b, lane, width = row // LANES, row % LANES, min(codes.bits, 4)
    parts, mask = 8 // width, 2**width - 1
    packed, rests, code_QC, products = codes.packed, codes.rests, query.codes, 0
    for v in range(packed.shape[1]):
        high, low = np.int64(packed[b, v, lane]), np.int64(0)
        if codes.bits == 8:
            low = np.int64(rests[b, v, lane])
        for part in range(parts):
            for i in range(4):
                shift = 8 * i + part * width
                value = high >> shift & mask
                if codes.bits == 8:
                    value = 16 * value + (low >> shift & mask)
                products += value * np.int64(code_QC[q, 4 * (v * parts + part) + i])
    centred = products - query.totals[q] * (2**codes.bits - 1) / 2
    gain = np.float64(codes.gains[b, lane])
    if gain != gain and packed[b, 0, lane]:
        gain = 0.0  # a zero row's under "cosine" once was NaN, too, but of such rows codes are 0
    score = gain * (np.float64(query.facts[q, SCALE]) * centred)
    return score + np.float64(codes.offsets[b, lane]) if codes.offsets.size else score
