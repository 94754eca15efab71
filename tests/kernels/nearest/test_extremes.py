"""The exact answer at both ends of float32, over every path, against NumPy's long double."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmpc_kernels import GalleryIndex, topk
from cmpc_kernels.compiled.intrinsics import IS_X86

METRICS = ["cosine", "ip", "l2"]
LARGEST = np.finfo(np.float32).max
every_metric = pytest.mark.parametrize("metric", METRICS)
every_path = pytest.mark.parametrize("path", ["index", "topk"])
# Of each row's length; half squares leave float32 from 2.6e19 on.
LENGTHS = {
    "half squares that just fit": (18.5, 19.8),
    "huge": (18, 38),
    "tiny": (-45, -20),
    "any": (-45, 37),
}


def rows_of(rng, shape, kind):
    """Return float32 rows of lengths that try the bounds."""
    rows = rng.standard_normal(shape) / np.sqrt(shape[1])
    if kind == "constants":
        rows = np.ones(shape) * rng.choice([-1, 1], (len(rows), 1))
    if kind == "scattered":  # within a row, too
        return (rows * 10.0 ** rng.uniform(-40, 37, shape)).astype(np.float32)
    low, high = LENGTHS.get(kind, (-40, 38))
    rows = rows * 10.0 ** rng.uniform(low, high, (len(rows), 1))
    return np.clip(rows, -LARGEST, LARGEST).astype(np.float32)


def true_scores(queries, rows, metric):
    """Return scores [Q, G] in long double, larger is better, and what float64 may round off."""
    query_QD, row_GD = queries.astype(np.longdouble), rows.astype(np.longdouble)
    if metric == "l2":
        score_QG = -np.square(query_QD[:, np.newaxis] - row_GD).sum(axis=2)
        return score_QG, 1e-13 * abs(score_QG)
    product_QG, most_QG = query_QD @ row_GD.T, abs(query_QD) @ abs(row_GD).T
    if metric == "ip":
        return product_QG, 1e-13 * most_QG
    length_QG = np.outer(lengths(query_QD), lengths(row_GD))
    return product_QG / np.where(length_QG == 0, 1, length_QG), np.full(length_QG.shape, 1e-13)


def lengths(row_ND):
    return np.sqrt(np.square(row_ND).sum(axis=1))


def assert_nearest(found_id_QK, queries, rows, metric, allow):
    """Every slot's true score must be that of the rank, up to what float64 rounds off."""
    score_QG, error_QG = true_scores(queries, rows, metric)
    score_QG = np.where(allow, score_QG, -np.inf)
    order_QK = np.argsort(-score_QG, axis=1, kind="stable")[:, : found_id_QK.shape[1]]
    num_found = min(found_id_QK.shape[1], np.count_nonzero(allow))
    assert (found_id_QK[:, num_found:] == -1).all()
    found, order = found_id_QK[:, :num_found], order_QK[:, :num_found]
    assert (found >= 0).all()
    gap = abs(np.take_along_axis(score_QG, found, 1) - np.take_along_axis(score_QG, order, 1))
    assert (gap <= 2 * np.take_along_axis(error_QG, order, 1)).all()


def ids_by(path, queries, rows, k, metric, allow):
    if path == "index":
        return GalleryIndex.build(rows, metric=metric).search(queries, k, allow=allow).ids
    return np.append(np.flatnonzero(allow), -1)[topk(queries, rows[allow], k, metric).ids]


@every_path
@pytest.mark.parametrize("num_queries", [1, 90])  # of these topk makes codes on the way
def test_a_row_whose_half_square_float32_cannot_hold_does_not_hide_a_nearer_one(path, num_queries):
    rows = np.array([[3.2e19], [-5e18]], np.float32)
    queries = np.full((num_queries, 1), 1e19, np.float32)

    found = ids_by(path, queries, rows, 1, "l2", np.ones(2, bool))

    assert (found == 1).all()


@every_path
@every_metric
@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    kinds=st.tuples(*[st.sampled_from([*LENGTHS, "constants", "scattered"])] * 2),
    shape=st.tuples(st.sampled_from([1, 9, 85]), st.integers(1, 60), st.integers(1, 20)),
    k=st.integers(1, 8),
    share=st.sampled_from([0.5, 1]),
)
def test_rows_and_queries_of_any_size_get_the_true_answer(
    path, metric, seed, kinds, shape, k, share
):
    rng = np.random.default_rng(seed)
    num_queries, num_rows, dimension = shape
    queries = rows_of(rng, (num_queries, dimension), kinds[0])
    rows = rows_of(rng, (num_rows, dimension), kinds[1])
    allow = rng.random(num_rows) < share

    found = ids_by(path, queries, rows, k, metric, allow)

    assert_nearest(found, queries, rows, metric, allow)


@every_metric
@pytest.mark.parametrize("size", [6e-8, 1e-3, 300])
def test_half_precision_rows_get_the_true_answer_from_denormals_to_the_largest(metric, size, rng):
    rows = (size * rng.standard_normal((90, 7))).astype(np.float16)
    queries = rows_of(rng, (9, 7), "any")

    for path in ("index", "topk"):
        found = ids_by(path, queries, rows, 5, metric, np.ones(90, bool))
        assert_nearest(found, queries, rows, metric, np.ones(90, bool))


@pytest.mark.slow
@pytest.mark.skipif(not IS_X86, reason="an x86 processor runs older ones' code")
def test_code_for_a_processor_with_avx2_alone_gives_the_true_answers_too():
    here = os.path.dirname(__file__)
    files = [os.path.join(here, name) for name in ("test_extremes.py", "test_scanning.py")]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *files],
        env=os.environ | {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma,+f16c"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
