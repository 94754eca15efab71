"""Search through codes: the exact answer is float64's, that of codes alone is what they say."""

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from cmpc_kernels import BadArgument, reference
from cmpc_kernels.compiled import code_tiles, unpacking
from cmpc_kernels.compiled.code_tiles import (
    BATCH_BLOCKS,
    BATCH_LEVELS,
    BATCH_QUERIES,
    QUERY_LEVELS,
    THRESHOLD,
)
from cmpc_kernels.compiled.intrinsics import LANES
from cmpc_kernels.nearest import scanning, threads
from cmpc_kernels.nearest.codes import RowCodes, encode_binary, encode_int8
from cmpc_kernels.nearest.scan_arguments import CodeArrays, Heaps, QueryCodes, Scratch, is_batch
from cmpc_kernels.nearest.scanning import search_codes, search_exact
from cmpc_kernels.nearest.similarity import MIN_CODED_QUERIES

ENCODERS = {1: encode_binary, 8: encode_int8}
METRICS = ["cosine", "ip", "l2"]
every_width = pytest.mark.parametrize("bits", ENCODERS)
every_metric = pytest.mark.parametrize("metric", METRICS)
thoroughly = settings(max_examples=50, derandomize=True)


def assert_exact(found, queries, rows, k, metric):
    """The definition's ids and scores, in every bit."""
    expected = reference.topk(queries, rows, k, metric)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.scores, expected.scores)


def drawn_rows(rng, num_rows, dimension, kind):
    """Return rows that try the filter: near ties, copies, sizes that differ, hardly a number."""
    rows = rng.standard_normal((num_rows, dimension))
    if kind == "near ties":
        rows = rows[:1] + 1e-6 * rows
    elif kind == "copies":
        rows = rows[rng.integers(0, max(1, num_rows // 4), num_rows)]
    elif kind == "sizes":
        rows *= 10.0 ** rng.integers(-20, 18, (num_rows, 1))
    elif kind == "denormal":
        rows *= 1e-41
    elif kind == "spikes":
        rows *= 1e3 ** rng.integers(0, 3, rows.shape)
    elif kind == "zeros":
        rows *= rng.integers(0, 2, (num_rows, 1))
    return rows.astype(np.float32)


KINDS = ["normal", "near ties", "copies", "sizes", "denormal", "spikes", "zeros"]


@every_metric
@every_width
@pytest.mark.parametrize("size", [1e29, 1e31, 1e36])
@pytest.mark.parametrize("num_queries", [1, 9])
def test_queries_whose_products_overflow_get_the_exact_answer(bits, metric, size, num_queries, rng):
    # All of one sign: the sum of a query's codes is large, and a bound's base beyond float32.
    queries = (np.abs(rng.standard_normal((num_queries, 40))) * size).astype(np.float32)
    rows = (rng.standard_normal((300, 40)) * 1e-3).astype(np.float32)

    found = search_exact(queries, rows, ENCODERS[bits](rows, metric=metric), 5, metric=metric)

    np.testing.assert_array_equal(found.ids, reference.topk(queries, rows, 5, metric).ids)


@every_metric
@every_width
@thoroughly
@given(
    seed=st.integers(0, 2**32 - 1),
    kinds=st.tuples(st.sampled_from(KINDS), st.sampled_from(KINDS)),
    shape=st.tuples(st.integers(1, 21), st.integers(1, 90), st.integers(1, 70)),
    k=st.integers(1, 12),
)
def test_the_exact_answer_is_the_float64_answer(bits, metric, seed, kinds, shape, k):
    rng = np.random.default_rng(seed)
    num_queries, num_rows, dimension = shape
    queries = drawn_rows(rng, num_queries, dimension, kinds[0])
    rows = drawn_rows(rng, num_rows, dimension, kinds[1])

    found = search_exact(queries, rows, ENCODERS[bits](rows, metric=metric), k, metric=metric)

    assert_exact(found, queries, rows, k, metric)


@every_metric
@every_width
@pytest.mark.parametrize("shape", [(1, 20_000, 64), (24, 5000, 129), (2, 300, 4096)])
def test_a_larger_gallery_is_searched_exactly_too(bits, metric, shape, rng):
    num_queries, num_rows, dimension = shape
    centres = rng.standard_normal((50, dimension), dtype=np.float32)
    rows = centres[rng.integers(0, 50, num_rows)]
    rows += 0.3 * rng.standard_normal(rows.shape, dtype=np.float32)
    queries = rows[:num_queries] + 0.3 * rng.standard_normal((num_queries, dimension), np.float32)
    half = rows.astype(np.float16)
    codes = ENCODERS[bits](half, metric=metric)

    for num_threads in (1, 2):
        found = search_exact(queries, half, codes, 10, metric=metric, num_threads=num_threads)
        assert_exact(found, queries, half, 10, metric)


@pytest.mark.parametrize("metric", ["ip", "l2"])
@every_width
@thoroughly
@given(data=st.data(), k=st.integers(1, 14))
def test_whole_numbers_rank_exactly_with_ties_by_lower_id(bits, metric, data, k):
    shape = data.draw(st.tuples(st.integers(0, 18), st.integers(0, 50), st.integers(1, 9)))
    values = st.integers(-2, 2)
    queries = data.draw(npst.arrays(np.float32, (shape[0], shape[2]), elements=values))
    rows = data.draw(npst.arrays(np.float32, shape[1:], elements=values))
    codes = ENCODERS[bits](rows, metric=metric)

    found = search_exact(queries, rows, codes, k, metric=metric)

    expected = reference.topk(queries, rows, k, metric)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.scores, expected.scores)


@every_metric
@pytest.mark.parametrize("num_queries", [1, 9])
def test_nan_infinite_and_huge_values_are_scored_as_the_definition_does(metric, num_queries, rng):
    rows = rng.standard_normal((70, 6)).astype(np.float32)
    queries = rng.standard_normal((num_queries, 6)).astype(np.float32)
    rows[3, 2], rows[17, 0], rows[33, 1], rows[40] = np.nan, np.inf, -np.inf, 3e38
    queries[num_queries // 2, 1] = np.inf if num_queries > 1 else 3e38

    found = search_exact(queries, rows, encode_int8(rows, metric=metric), 70, metric=metric)

    expected = reference.topk(queries, rows, 70, metric)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.scores, expected.scores)


@every_metric
@every_width
@pytest.mark.parametrize("num_queries", [1, 19])
def test_the_answer_by_codes_alone_ranks_by_them(bits, metric, num_queries, rng, monkeypatch):
    monkeypatch.setattr(threads, "MIN_THREAD_BYTES", 1000)
    rows = rng.standard_normal((333, 50), dtype=np.float32)
    queries = rng.standard_normal((num_queries, 50), dtype=np.float32)
    codes = ENCODERS[bits](rows, metric=metric)

    found = search_codes(queries, codes, 20, metric=metric, num_threads=1)
    parts = search_codes(queries, codes, 20, metric=metric, num_threads=2)

    np.testing.assert_array_equal(parts.ids, found.ids)
    np.testing.assert_array_equal(parts.scores, found.scores)
    step = (np.abs(queries).max(axis=1, keepdims=True) / 127).astype(np.float64)
    coarse = codes.decode().astype(np.float64) @ (step * np.rint(queries / step)).T
    length = np.linalg.norm(queries.astype(np.float64), axis=1)
    if metric == "cosine":
        coarse = coarse / length
    elif metric == "l2":
        square = np.square(rows.astype(np.float64)).sum(axis=1, keepdims=True)
        coarse = -np.maximum(length**2 + square - 2 * coarse, 0)
    id_QK = np.argsort(-coarse.T, axis=1, kind="stable")[:, :20]
    score_QK = np.take_along_axis(coarse.T, id_QK, axis=1)
    assert (found.ids == id_QK).mean() > 0.99  # near ties may swap
    sign = -1 if metric == "l2" else 1
    np.testing.assert_allclose(found.scores, sign * score_QK, rtol=1e-4, atol=1e-4)


@every_metric
@pytest.mark.parametrize("num_queries", [1, 20])
def test_only_allowed_rows_are_found(metric, num_queries, rng):
    rows = rng.standard_normal((500, 24), dtype=np.float32)
    queries = rng.standard_normal((num_queries, 24), dtype=np.float32)
    codes = encode_int8(rows, metric=metric)
    for allow in (rng.random(500) < 0.05, np.zeros(500, bool), np.ones(500, bool)):
        kept = np.flatnonzero(allow)
        expected = reference.topk(queries, rows[kept], 30, metric)
        found = search_exact(queries, rows, codes, 30, metric=metric, allow=allow)
        np.testing.assert_array_equal(found.ids, np.append(kept, -1)[expected.ids])
        coarse = search_codes(queries, codes, 30, metric=metric, allow=allow)
        assert set(coarse.ids.ravel()) <= set(kept) | {-1}
        assert ((coarse.ids >= 0).sum(axis=1) == min(30, len(kept))).all()


@pytest.mark.parametrize("cached_bytes", [0, 1 << 30], ids=["by blocks", "by queries"])
def test_batch_threads_and_neighbours_in_time_change_nothing(cached_bytes, rng, monkeypatch):
    monkeypatch.setattr(scanning, "CACHED_BYTES", cached_bytes)
    rows = rng.standard_normal((60_000, 96), dtype=np.float32)
    queries = rng.standard_normal((40, 96), dtype=np.float32)
    codes = encode_int8(rows)
    together = search_exact(queries, rows, codes, 10, metric="ip", num_threads=3)

    with ThreadPoolExecutor(4) as pool:
        alone = pool.map(
            lambda n: search_exact(queries[n : n + 1], rows, codes, 10, metric="ip"), range(40)
        )
        for n, one in enumerate(alone):
            np.testing.assert_array_equal(one.ids[0], together.ids[n])
            np.testing.assert_array_equal(one.scores[0], together.scores[n])


@every_metric
def test_scores_come_in_float64_for_those_who_merge(metric, rng):
    rows = rng.standard_normal((50, 9), dtype=np.float32)
    codes = encode_int8(rows, metric=metric)

    found = search_exact(rows[:3], rows, codes, 60, metric=metric, in_float64=True)

    score_QG = reference.score_matrix(rows[:3], rows, metric)
    sign = -1 if metric == "l2" else 1
    expected = sign * np.take_along_axis(score_QG, found.ids[:, :50], axis=1)
    assert found.scores.dtype == np.float64
    np.testing.assert_array_equal(found.scores[:, :50], expected)
    assert (found.ids[:, 50:] == -1).all()
    assert np.isinf(found.scores[:, 50:]).all()


@every_width
@pytest.mark.parametrize("num_queries", [1, 9])
@pytest.mark.parametrize("gain", [0, np.nan], ids=["as written now", "as written before"])
def test_a_zero_row_has_the_cosine_zero_by_its_codes_too(bits, num_queries, gain):
    # Of NaN nothing is known, and it is no neighbour.
    rows = np.array([[0, 0], [2, 0], [-3, 0], [np.nan, 0]], np.float32)
    queries = np.full((num_queries, 2), [1, 0], np.float32)
    codes = ENCODERS[bits](rows, metric="cosine")
    arrays = codes.arrays()
    assert arrays["gains"][0, 0] == 0
    gains = arrays["gains"].copy()
    gains[0, 0] = gain
    facts = {"bits": bits, "metric": "cosine", "num_rows": 4, "dimension": 2}
    codes = RowCodes.from_arrays(arrays | {"gains": gains}, **facts)

    coarse = search_codes(queries, codes, 4, metric="cosine")
    exact = search_exact(queries, rows, codes, 4, metric="cosine")

    for found in (coarse, exact):
        assert found.ids.tolist() == [[1, 0, 2, -1]] * num_queries
        assert (found.scores[:, 1] == 0).all()


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="NumPy computes what is infinite then")
@every_metric
def test_an_infinite_query_finds_nothing_by_codes_and_causes_no_warning(metric, rng):
    codes = encode_int8(rng.standard_normal((20, 7), dtype=np.float32), metric=metric)
    query_QD = np.full((1, 7), np.inf, np.float32)

    with np.errstate(all="raise"):
        found = search_codes(query_QD, codes, 2, metric=metric)

    assert found.ids.tolist() == [[-1, -1]]
    assert np.abs(found.scores).tolist() == [[np.inf, np.inf]]


def test_a_tile_does_not_stop_for_queries_that_pad_it(rng):
    rows = rng.standard_normal((BATCH_BLOCKS * LANES, 24), dtype=np.float32)
    codes = CodeArrays.of(encode_int8(rows))
    query = QueryCodes.of(rows[:1], 8)
    query.facts[0, THRESHOLD] = 1e9  # no row reaches it
    heaps = Heaps.empty(1, 1, 3).some(0, slice(0, 1))
    scratch = Scratch.together(heaps, len(rows), query.codes.shape[1] // 4)
    for block in range(BATCH_BLOCKS):
        unpacking._plain_unpack(codes.packed, codes.rests, block, (0, 4), scratch.bytes, block)
    tile = numba.njit(lambda *arguments: code_tiles.scan_batch(*arguments))
    place = (rows, scratch.bytes, 0, (0,), 0, query.codes, query.totals, query.facts, 0)
    outputs = (scratch.sums, scratch.tile_uppers, scratch.masks)

    assert not tile(*place, codes.gains, codes.offsets, codes.bounds, 0, 1, *outputs)


def test_a_thread_writes_where_its_last_scan_of_the_size_did_and_no_other_thread_does():
    heaps = Heaps.empty(1, 3, 5).some(0, slice(0, 3))
    large = Heaps.empty(1, 64, 5000).some(0, slice(0, 64))

    first = Scratch.singly(heaps, 1000)
    first.counts[:] = 7
    again = Scratch.singly(heaps, 1000)
    with ThreadPoolExecutor(1) as pool:
        elsewhere = pool.submit(Scratch.singly, heaps, 1000).result()

    assert np.shares_memory(first.rows, again.rows)
    assert (again.counts == 0).all()
    assert not np.shares_memory(first.rows, elsewhere.rows)
    assert len(Scratch.singly(heaps, 20).rows[0]) < len(first.rows[0])
    assert not np.shares_memory(
        Scratch.singly(large, 10**6).rows, Scratch.singly(large, 10**6).rows
    )


@pytest.mark.parametrize("is_coarse", [False, True], ids=["exact", "codes"])
@pytest.mark.parametrize("num_queries", [1, BATCH_QUERIES // 2, BATCH_QUERIES // 2 + 1, 90])
def test_queries_have_no_code_that_their_tiles_can_not_sum(num_queries, is_coarse, rng):
    rows = rng.standard_normal((num_queries, 24), dtype=np.float32)

    largest = np.abs(QueryCodes.of(rows, 8, is_coarse=is_coarse).codes.astype(int)).max()

    is_narrow = num_queries > BATCH_QUERIES // 2 and not is_coarse
    assert largest == (BATCH_LEVELS if is_narrow else QUERY_LEVELS)
    assert is_batch(MIN_CODED_QUERIES)  # `topk` scans for these by tiles


def test_what_does_not_belong_together_is_refused():
    rows = np.ones((20, 5), np.float32)
    codes = encode_int8(rows)
    for change, message in [
        ({"metric": "l2"}, "codes for 'ip' and metric='l2'; encode the rows again"),
        ({"rows": rows[:19]}, r"codes of \[20, 5\] and rows of \[19, 5\]; encode these rows"),
        ({"allow": np.ones(19, bool)}, r"each of the 20 rows, got bool \[19\]"),
        ({"allow": np.ones(20)}, "allow must be a bool array"),
        ({"num_threads": 0}, "num_threads must be an integer of at least 1, got 0"),
        ({"k": 0}, "k must be an integer of at least 1"),
    ]:
        arguments = {"queries": rows, "rows": rows, "codes": codes, "k": 1, "metric": "ip"} | change
        with pytest.raises(BadArgument, match=message):
            search_exact(**arguments)
