"""Compiled: candidates, rows that may still be among a query's best, by bounds of their scores.

    codes of a block --> upper bounds --(few reach the threshold)--> candidates --> float64 scores
                              ^                                          |          --> heap
                              +---- threshold: K-th best lower bound <---+   once, when they are few

A bound is there anyway; an exact score reads a row and a heap takes it in seven steps or so. On
10,000 rows some 500 of them are for a while among a query's best 100. So candidates wait until
there is no room for more. Then the K-th best of their lower bounds becomes the threshold, and
those whose upper bounds do not reach it are forgotten: K rows are better, whatever they score.

Bounds are those of <q, x>, of <q, x> / |x|, or of <q, x> - |x|^2 / 2; larger is better.
"""
# Numba infers the types here, and has no stubs.
# mypy: ignore-errors

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from cmpc_kernels._compiled_codes import INNER, num_stages
from cmpc_kernels._compiled_heaps import (
    exact_score,
    filter_threshold,
    offer,
    reached_by,
    round_down,
    score_error,
)
from cmpc_kernels._tiles import LENGTH, MARGIN, RESIDUAL, SCALE, STAGE_FACTS, THRESHOLD
from cmpc_kernels.intrinsics import LANES, lowest_bit, prefetch_row

__all__ = [
    "Candidates",
    "CodeArrays",
    "GalleryRows",
    "collect",
    "no_candidates",
    "raise_thresholds",
    "score_all",
]

SPARE = 64  # candidates more than a multiple of K
NUM_AHEAD = 6  # rows that are on their way from memory while one is scored
LARGEST = np.float32(1e38)  # a bound beyond may have overflowed


class CodeArrays(NamedTuple):
    """Codes as the compiled scans take them; see ``codes.py``. Planes are uint32 [B, V, 16]."""

    packed: Any
    rests: Any
    bits: int
    gains: Any
    offsets: Any
    bounds: Any


class GalleryRows(NamedTuple):
    """What else there is of a gallery: rows [G, D], or none, then codes are all there is.

    Row g has the id first_id + g, and is one if g < stop. ``allow`` is bool by id, or empty: all.
    """

    rows: Any
    first_id: int
    stop: int
    allow: Any
    metric: int


class Candidates(NamedTuple):
    """Float32 [Q, C] bounds and int64 [Q, C] rows, of which the first counts_Q[q] are there."""

    uppers: Any
    lowers: Any
    rows: Any
    counts: Any


@njit(**INNER)
def no_candidates(num_queries, num_kept, num_rows):
    """Return room for each query's candidates."""
    shape = (num_queries, min(4 * num_kept + SPARE, num_rows + LANES))
    return Candidates(
        np.empty(shape, np.float32),
        np.empty(shape, np.float32),
        np.empty(shape, np.int64),
        np.zeros(num_queries, np.int64),
    )


@njit(**INNER)
def raise_thresholds(query, gallery, score_QK):
    """Return the queries' facts, a thread's own, with thresholds where the heaps are."""
    fact_QF = np.empty(query.facts.shape, np.float32)
    for q in range(fact_QF.shape[0]):
        for f in range(fact_QF.shape[1]):
            fact_QF[q, f] = query.facts[q, f]
    for q in range(score_QK.shape[0]):
        if score_QK[q, 0] > -np.inf:
            fact_QF[q, THRESHOLD] = filter_threshold(
                score_QK[q, 0], query.lengths[q], gallery.metric
            )
    return fact_QF


@njit(**INNER)
def collect(
    hit_N3, upper_NL, num_hits, first_row, codes, query, fact_QF, gallery, heaps, candidates
):
    """Take in rows that the filter let through.

    A hit is a query, a block and 16 bits; ``upper_NL`` holds its bounds by lane. Row ``first_row``
    is the first of block 0.

    An upper bound adds to what the codes say all that they may lack, and a margin for float32's
    rounding, of which half is more than enough for that of both bounds (``encode_queries``). So
    the lower bound is twice that below.
    """
    stage, num_kept, room = num_stages(codes.bits) - 1, heaps.ids.shape[1], candidates.rows.shape[1]
    column = STAGE_FACTS * stage
    gain_BL, offset_BL, bound_B2 = codes.gains, codes.offsets, codes.bounds
    upper_QC, lower_QC, row_QC = candidates.uppers, candidates.lowers, candidates.rows
    for n in range(num_hits):
        q, b, lanes = hit_N3[n, 0], hit_N3[n, 1], hit_N3[n, 2]
        spread = fact_QF[q, MARGIN + column]
        spread += fact_QF[q, LENGTH + column] * bound_B2[b, 2 * stage]
        spread += fact_QF[q, RESIDUAL + column] * bound_B2[b, 2 * stage + 1]
        spread *= np.float32(2 + 2.0**-10)
        count, threshold = candidates.counts[q], fact_QF[q, THRESHOLD]
        while lanes:
            lane = lowest_bit(lanes)
            lanes &= lanes - 1
            row, upper = first_row + b * LANES + lane, upper_NL[n, lane]
            if upper < threshold or row >= gallery.stop:
                continue
            if gallery.allow.size and not gallery.allow[gallery.first_id + row]:
                continue
            offset = offset_BL[b, lane] if offset_BL.size else np.float32(0)
            upper_QC[q, count], row_QC[q, count] = upper, row
            lower_QC[q, count] = lower_bound(upper, gain_BL[b, lane], spread, offset)
            count += 1
        candidates.counts[q] = count
        if count > room - LANES:
            error = score_error(query.lengths[q], gallery.metric)
            tighten(candidates, q, num_kept, error, fact_QF)
            if candidates.counts[q] > room - LANES - num_kept // 2:  # equal scores, or no bounds
                score_some(q, codes, query, fact_QF, gallery, heaps, candidates)


@njit(**INNER)
def lower_bound(upper, gain, spread, offset):
    """Return what a row's score is at least; -inf where nothing is known.

    The offset may be 2^-20 too high (``gain_and_offset``); 2^-120 makes good what underflows.
    """
    lower = upper - gain * spread + offset * np.float32(2.0**-18) - np.float32(2.0**-120)
    is_known = abs(upper) < LARGEST and abs(offset) < LARGEST and abs(lower) < LARGEST
    return lower if is_known else np.float32(-np.inf)


@njit(**INNER)
def tighten(candidates, q, num_kept, error, fact_QF):
    """Raise a query's threshold as far as its candidates allow, and forget who do not reach it.

    ``error`` is that of exact scores: rows that are equal by them must stay.
    """
    upper_C, lower_C, row_C = candidates.uppers[q], candidates.lowers[q], candidates.rows[q]
    count, kept = candidates.counts[q], 0
    threshold = reached_by(lower_C[:count], num_kept, fact_QF[q, THRESHOLD])
    if threshold > fact_QF[q, THRESHOLD]:
        lower = round_down(np.float64(threshold) - error)
        threshold = lower if lower > fact_QF[q, THRESHOLD] else fact_QF[q, THRESHOLD]
    for c in range(count):
        upper_C[kept], lower_C[kept], row_C[kept] = upper_C[c], lower_C[c], row_C[c]
        kept += not upper_C[c] < threshold  # no branch: nobody could predict it
    fact_QF[q, THRESHOLD], candidates.counts[q] = threshold, kept


@njit(**INNER)
def score_all(codes, query, fact_QF, gallery, heaps, candidates):
    """Offer what is left of the candidates to the heaps."""
    for q in range(heaps.ids.shape[0]):
        error = score_error(query.lengths[q], gallery.metric)
        tighten(candidates, q, heaps.ids.shape[1], error, fact_QF)
        score_some(q, codes, query, fact_QF, gallery, heaps, candidates)


@njit(**INNER)
def score_some(q, codes, query, fact_QF, gallery, heaps, candidates):
    """Offer one query's candidates to its heap."""
    count, query_QD, row_GD = candidates.counts[q], query.rows, gallery.rows
    row_C, score_K, id_K = candidates.rows[q], heaps.scores[q], heaps.ids[q]
    for c in range(-NUM_AHEAD, count):
        if row_GD.size and c + NUM_AHEAD < count:
            prefetch_row(row_GD, row_C[c + NUM_AHEAD])
        if c < 0:
            continue
        if row_GD.size:
            score = exact_score(query_QD, q, row_GD, row_C[c], gallery.metric)
        else:
            score = coarse_score(codes, row_C[c], query, q, fact_QF[q, SCALE])
        offer(score, gallery.first_id + row_C[c], score_K, id_K)
    candidates.counts[q] = 0
    if score_K[0] > -np.inf:
        threshold = filter_threshold(score_K[0], query.lengths[q], gallery.metric)
        if threshold > fact_QF[q, THRESHOLD]:
            fact_QF[q, THRESHOLD] = threshold


@njit(**INNER)
def coarse_score(codes, row, query, q, scale):
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
    score = np.float64(codes.gains[b, lane]) * (np.float64(scale) * centred)
    return score + np.float64(codes.offsets[b, lane]) if codes.offsets.size else score
