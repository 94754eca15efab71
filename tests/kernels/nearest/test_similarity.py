"""topk against its float64 definition, against FAISS, and on the inputs that break such code."""

import os
import subprocess
import sys

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from cmpc_kernels import BadArgument, reference, topk

METRICS = ["cosine", "ip", "l2"]
thoroughly = settings(max_examples=60, derandomize=True)
SPECIAL = [0.0, 1e-30, -1e30, np.nan, np.inf, -np.inf]


def assert_same_neighbours(found, expected):
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.ids, expected.ids)


@st.composite
def query_and_gallery(draw, elements, dtype=np.float32):
    dim = draw(st.integers(1, 9))
    return tuple(
        draw(npst.arrays(dtype, (draw(st.integers(0, 11)), dim), elements=elements))
        for _ in range(2)
    )


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 50, 7), (17, 1000, 128), (2, 5, 4096)])
def test_it_meets_its_definition(shape, metric, rng):
    num_queries, num_items, dim = shape
    queries = rng.standard_normal((num_queries, dim), dtype=np.float32)
    gallery = rng.standard_normal((num_items, dim), dtype=np.float32)

    found = topk(queries, gallery, 5, metric)

    assert_same_neighbours(found, reference.topk(queries, gallery, 5, metric))
    assert (found.scores.dtype, found.ids.dtype) == (np.float32, np.int64)


@pytest.mark.parametrize("metric", ["ip", "l2"])
@thoroughly
@given(data=st.data(), k=st.integers(1, 14))
def test_whole_numbers_are_ranked_exactly_ties_and_empty_inputs_included(metric, data, k):
    queries, gallery = data.draw(query_and_gallery(st.integers(-2, 2)))

    found = topk(queries, gallery, k, metric)

    assert_same_neighbours(found, reference.topk(queries, gallery, k, metric))


@pytest.mark.parametrize("metric", METRICS)
@thoroughly
@given(data=st.data())
def test_nan_infinite_and_huge_values_never_reach_the_answer_as_nan(metric, data):
    values = st.sampled_from(SPECIAL) | st.integers(-2, 2)
    queries, gallery = data.draw(query_and_gallery(values))

    found = topk(queries, gallery, 5, metric)

    assert not np.isnan(found.scores).any()
    is_empty = found.ids == -1
    assert (np.isinf(found.scores) >= is_empty).all()
    sign = -1 if metric == "l2" else 1
    assert (np.diff(np.nan_to_num(sign * found.scores)) <= 0).all()
    assert (np.diff(is_empty.astype(int)) >= 0).all()
    has_nan_query, has_nan_item = np.isnan(queries).any(axis=1), np.isnan(gallery).any(axis=1)
    assert (found.ids[has_nan_query] == -1).all()
    assert not np.isin(found.ids, np.flatnonzero(has_nan_item)).any()


def test_an_infinite_inner_product_ranks_first_and_a_negative_one_nowhere():
    queries = np.ones((1, 2), np.float32)
    gallery = np.array([[1, 0], [-np.inf, 0], [np.inf, 0], [np.inf, -np.inf]], np.float32)

    found = topk(queries, gallery, 4)

    assert found.ids.tolist() == [[2, 0, -1, -1]]
    assert found.scores.tolist() == [[np.inf, 1, -np.inf, -np.inf]]


def test_a_zero_row_has_the_cosine_zero():
    queries = np.array([[0, 0], [1, 0]], np.float32)
    gallery = np.array([[0, 0], [2, 0], [-3, 0]], np.float32)

    found = topk(queries, gallery, 3, "cosine")

    assert found.ids.tolist() == [[0, 1, 2], [1, 0, 2]]
    assert found.scores.tolist() == [[0, 0, 0], [1, 0, -1]]


@pytest.mark.parametrize("length", [1e-40, 1e-20, 1e20, 3e38])
def test_the_cosine_of_tiny_and_huge_rows_is_exact(length):
    gallery = np.array([[1, 0], [0, 1]], np.float32) * np.float32(length)

    assert topk(gallery, gallery, 1, "cosine").scores.tolist() == [[1], [1]]


@pytest.mark.parametrize("metric", METRICS)
def test_an_embedding_and_its_copies_tie_wherever_they_lie(metric, rng):
    gallery = rng.standard_normal((5003, 100), dtype=np.float32)
    copies = np.sort(rng.choice(len(gallery), 40, replace=False))
    gallery[copies] = gallery[copies[0]]

    found = topk(gallery[copies], gallery, 40, metric)  # enough work for shards and threads

    np.testing.assert_array_equal(found.ids, np.tile(copies, (40, 1)))
    assert len(np.unique(found.scores)) == 1
    assert metric != "l2" or found.scores[0, 0] == 0


@pytest.mark.parametrize("metric", METRICS)
def test_the_answer_does_not_depend_on_batch_or_threads(metric, rng):
    queries = rng.standard_normal((300, 65), dtype=np.float32)
    gallery = rng.standard_normal((4099, 65), dtype=np.float32)
    together = topk(queries, gallery, 9, metric, num_threads=3)

    alone = [topk(query[np.newaxis], gallery, 9, metric, num_threads=1) for query in queries[:7]]

    np.testing.assert_array_equal(together.ids[:7], np.concatenate([one.ids for one in alone]))
    np.testing.assert_array_equal(
        together.scores[:7], np.concatenate([one.scores for one in alone])
    )


@pytest.mark.parametrize("metric", METRICS)
def test_a_large_k_keeps_everything_in_order(metric, rng):
    gallery = rng.integers(-3, 4, (3000, 3)).astype(np.float32)

    found = topk(gallery[:2], gallery, 3001, metric)

    expected = reference.topk(gallery[:2], gallery, 3001, metric)
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert found.ids[:, -1].tolist() == [-1, -1]
    np.testing.assert_array_equal(np.sort(found.ids[:, :-1]), np.tile(np.arange(3000), (2, 1)))


@pytest.mark.parametrize("metric", METRICS)
def test_half_precision_strided_and_read_only_rows_are_the_same_rows(metric, rng, monkeypatch):
    monkeypatch.setattr("cmpc_kernels.nearest.similarity.CHUNK_VALUES", 1000)  # several pieces
    half = rng.integers(-8, 8, (211, 12)).astype(np.float16)
    plain = half.astype(np.float32)
    strided = np.asfortranarray(np.repeat(plain, 2, axis=0))[::2]
    strided.flags.writeable = False

    expected = topk(plain, plain, 20, metric)

    for queries, gallery in [(half, half), (strided, strided), (plain[:], half)]:
        assert_same_neighbours(topk(queries, gallery, 20, metric), expected)


@pytest.mark.parametrize("num_queries", [1, 40])
@pytest.mark.parametrize(("metric", "index_type"), [("ip", "IndexFlatIP"), ("l2", "IndexFlatL2")])
def test_faiss_finds_the_same_neighbours(num_queries, metric, index_type, rng):
    gallery = rng.standard_normal((5000, 64), dtype=np.float32)
    queries = rng.standard_normal((num_queries, 64), dtype=np.float32)
    index = getattr(faiss, index_type)(64)
    index.add(gallery)

    found = topk(queries, gallery, 10, metric)

    scores, ids = index.search(queries, 10)
    np.testing.assert_array_equal(found.ids, ids)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-4)


def test_faiss_fills_missing_slots_alike():
    gallery = np.eye(2, dtype=np.float32)
    for metric, index in [("ip", faiss.IndexFlatIP(2)), ("l2", faiss.IndexFlatL2(2))]:
        index.add(gallery)
        found = topk(gallery, gallery, 3, metric)
        scores, ids = index.search(gallery, 3)
        assert (found.ids[:, 2].tolist(), ids[:, 2].tolist()) == ([-1, -1], [-1, -1])
        assert (np.sign(found.scores[:, 2]) == np.sign(scores[:, 2])).all()


def test_uncompiled_kernels_give_the_same_answer():
    """Coverage and debuggers need the loops to be Python; here is proof that they can be."""
    script = (
        "import numpy as np; from cmpc_kernels import GalleryIndex, topk\n"
        "rows = np.random.default_rng(0).standard_normal((50, 9)).astype(np.float32)\n"
        "for metric in ('cosine', 'ip', 'l2'):\n"
        "    for queries in (rows[:1], rows[:9]):\n"
        "        print(topk(queries, rows, 3, metric).ids.tolist())\n"
        "        print(GalleryIndex.build(rows, metric=metric).search(queries, 3).ids.tolist())\n"
    )
    answers = [
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"NUMBA_DISABLE_JIT": is_off},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for is_off in "10"
    ]
    assert answers[0] == answers[1]
    assert answers[0].count("[[0, ") == 8  # cosine and l2: a row is its own nearest


ROWS = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((ROWS.tolist(), ROWS, 1), r"queries must be a NumPy array, got list; convert"),
        ((ROWS.astype(np.float64), ROWS, 1), r"float32 or float16, got float64; convert it with"),
        ((ROWS, ROWS.astype(np.int8), 1), r"gallery must be float32 or float16, got int8"),
        ((ROWS[0], ROWS, 1), r"got \[3\]; give a single embedding as queries\[np.newaxis\]"),
        ((ROWS[:, :0], ROWS[:, :0], 1), r"at least one dimension, got \[2, 0\]"),
        ((ROWS, ROWS[:, :2], 1), r"share their dimension, got 3 and 2"),
        ((ROWS, ROWS, 0), r"k must be an integer of at least 1, got 0"),
        ((ROWS, ROWS, 1.0), r"k must be an integer of at least 1, got 1.0"),
        ((ROWS, ROWS, 1, "dot"), r"no metric is called 'dot'; choose one of cosine, ip, l2"),
    ],
)
def test_a_bad_argument_is_told_what_must_hold(arguments, message):
    with pytest.raises(BadArgument, match=message):
        topk(*arguments)
