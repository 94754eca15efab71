"""Bounds, thresholds and heaps of a scan, each against what it must be."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmpc_kernels import topk
from cmpc_kernels.compiled import candidates as compiled_candidates
from cmpc_kernels.compiled import code_tiles
from cmpc_kernels.compiled import heaps as compiled_heaps
from cmpc_kernels.compiled.heaps import merge_shards
from cmpc_kernels.compiled.intrinsics import LANES
from cmpc_kernels.metrics import METRIC_NUMBERS
from cmpc_kernels.nearest.codes import (
    encode_binary,
    encode_int8,
    plain_rows,
)
from cmpc_kernels.nearest.scan_arguments import (
    ALL_ROWS,
    CodeArrays,
    GalleryRows,
    Heaps,
    QueryCodes,
    Scratch,
)

# These have no entrance from Python.
collect = numba.njit(lambda *arguments: compiled_candidates.collect(*arguments))
threshold_reached_by = numba.njit(
    lambda *arguments: compiled_heaps.threshold_reached_by(*arguments)
)
offer = numba.njit(lambda *arguments: compiled_heaps.offer(*arguments))

METRICS = sorted(METRIC_NUMBERS)
ENCODERS = {1: encode_binary, 8: encode_int8}


def bounded_score(query, row, metric):
    """Return in float64 what bounds are bounds of."""
    query, row = query.astype(np.float64), row.astype(np.float64)
    if metric == "cosine":
        return query @ row / np.linalg.norm(row)
    return query @ row - (row @ row / 2 if metric == "l2" else 0)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("bits", [1, 8])
@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e15])
def test_a_rows_score_lies_between_its_bounds(bits, metric, scale, rng):
    row_GD = (rng.standard_normal((3 * LANES, 37)) * scale).astype(np.float32)
    query_QD = rng.standard_normal((2, 37)).astype(np.float32)
    codes = ENCODERS[bits](row_GD, metric=metric)
    arrays = CodeArrays.of(codes)
    query = QueryCodes.of(query_QD, bits)
    gallery = GalleryRows(plain_rows(row_GD), 0, len(row_GD), ALL_ROWS, METRIC_NUMBERS[metric])
    heaps = Heaps.empty(1, 2, 40).some(0, slice(0, 2))
    scratch = Scratch.singly(heaps, len(row_GD))
    hit_N3 = np.array([[q, b, 2**LANES - 1] for q in range(2) for b in range(3)])
    scratch.hits[: len(hit_N3)] = hit_N3
    scratch.hit_uppers[: len(hit_N3)] = upper_bounds(arrays, query, hit_N3)

    collect(scratch, len(hit_N3), False, 0, arrays, query, gallery, heaps)

    for q in range(2):
        assert scratch.counts[q] == len(row_GD)
        scores = [bounded_score(query_QD[q], row, metric) for row in row_GD]
        upper_C, lower_C = (side[q, : len(row_GD)] for side in (scratch.uppers, scratch.lowers))
        assert (lower_C <= scores).all()
        assert (scores <= upper_C).all()
        assert np.isfinite(lower_C).all() or scale > 1
        # Not so far apart that they would say nothing: 8 bits leave a few percent.
        if bits == 8 and scale == 1:
            assert (upper_C - lower_C).max() < 0.2 * np.ptp(scores)


def upper_bounds(codes, query, hit_N3):
    """Compute by its definition what a tile compares with the threshold, at the last stage."""

    upper_NL = np.empty((len(hit_N3), LANES), np.float32)
    mask, sums = np.empty((1, 1), np.uint16), np.zeros(LANES, np.int32)
    for n, (q, b, _) in enumerate(hit_N3):
        stages = [(codes.packed, 4, False), (codes.rests, 0, True)]
        for stage, (plane, weight, has_start) in enumerate(stages[: 1 + (codes.bits == 8)]):
            tile = code_tiles._make_plain_tile(1, 1, keeps_sums=True, has_start=has_start)
            upper = np.empty((1, 1, LANES), np.float32)
            tile(
                (), plane, b, codes.shifts, weight if codes.bits == 8 else 0, query.codes,
                query.totals, query.facts, q, codes.gains, codes.offsets, codes.bounds, b, stage,
                sums, upper, mask,
            )  # fmt: skip
            upper_NL[n] = upper[0, 0]
    return upper_NL


floats = st.floats(-(2.0**99), 2.0**99, width=32) | st.sampled_from([-np.inf, 0.0, 1.0, 1.0])


@given(scores=st.lists(floats, min_size=1, max_size=60), num_kept=st.integers(1, 70))
def test_a_threshold_is_reached_by_enough_and_never_falls(scores, num_kept):
    score_N = np.array(scores, np.float32)
    for before in (np.float32(-np.inf), np.float32(0.5)):
        threshold = threshold_reached_by(score_N, num_kept, before)

        assert threshold >= before
        if threshold > before:
            assert (score_N >= threshold).sum() >= num_kept


def test_a_threshold_lets_hardly_more_through_than_it_must(rng):
    score_N = rng.standard_normal(500, dtype=np.float32)

    threshold = threshold_reached_by(score_N, 40, np.float32(-np.inf))

    assert (score_N >= threshold).sum() == 40


@pytest.mark.parametrize("num_kept", [1, 7, 50])
def test_heaps_keep_the_best_of_all_that_were_offered(num_kept, rng):
    # Whole numbers, so that many are equal; two heaps, of which one is settled into the other.
    score_N = rng.integers(0, 9, 60).astype(np.float64)
    score_N[[3, 40]] = np.nan, -np.inf
    heaps = Heaps.empty(2, 1, num_kept)
    for n, score in enumerate(score_N):
        offer(score, n, heaps.scores[n % 2, 0], heaps.ids[n % 2, 0])
    merge_shards(*heaps)

    valid = [n for n in range(60) if score_N[n] > -np.inf]
    expected = sorted(valid, key=lambda n: (-score_N[n], n))[:num_kept]
    assert heaps.ids[0, 0].tolist() == expected


def test_equal_scores_without_end_leave_room_for_better_ones(rng):

    # All rows tie at first, far more than there is room for, and the best comes last.
    row_GD = np.tile(rng.standard_normal(16, dtype=np.float32), (3000, 1))
    row_GD[2999] *= 2
    query_QD = row_GD[:9].copy()

    found = topk(query_QD, row_GD, 5)

    assert found.ids.tolist() == [[2999, 0, 1, 2, 3]] * 9
