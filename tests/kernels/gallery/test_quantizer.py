"""Queries as int8: off by half a scale at most, and refused where they break the contract."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from cmpc_kernels import (
    BadArgument,
    GalleryIndex,
    QuantizedQueries,
    QueryContract,
    QueryQuantizer,
    reference,
)


@pytest.fixture
def index(rng):
    gallery = rng.standard_normal((400, 16), dtype=np.float32)
    return GalleryIndex.build(gallery, "cosine", network_sha256="5e")


@settings(derandomize=True)
@given(
    npst.arrays(
        np.float32,
        st.tuples(st.integers(0, 5), st.integers(1, 9)),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    )
)
def test_no_value_is_off_by_more_than_half_a_scale(queries):
    contract = QueryContract(dimension=queries.shape[1], metric="ip")

    coded = QueryQuantizer(contract).quantize(queries)

    assert (coded.codes.dtype, coded.scales.dtype) == (np.int8, np.float32)
    assert coded.codes.min(initial=0) >= -127
    restored = coded.codes.astype(np.float64) * coded.scales.astype(np.float64)[:, np.newaxis]
    largest = np.abs(queries).max(axis=1, initial=0, keepdims=True).astype(np.float64)
    np.testing.assert_array_less(
        np.abs(restored - queries), np.broadcast_to(largest / 127 * 0.5001 + 1e-43, queries.shape)
    )


def test_an_index_answers_for_the_values_that_the_codes_stand_for(index, rng):
    queries = rng.standard_normal((20, 16), dtype=np.float32)
    contract = QueryContract.from_json(json.loads(json.dumps(index.query_contract().to_json())))
    coded = QueryQuantizer(contract).quantize(queries, network_sha256="5e")

    found = index.search(coded, 5)

    expected = reference.topk(coded.to_float32(), index.rows, 5, "cosine")
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
    plain = index.search(queries, 5)
    np.testing.assert_allclose(found.scores, plain.scores, atol=0.02)


def test_a_network_that_puts_out_int8_needs_no_quantizer(rng):
    codes = rng.integers(-128, 128, (3, 16), np.int8)
    index = GalleryIndex.build(codes.astype(np.float32), "l2")

    found = index.search(QuantizedQueries(codes=codes, scales=np.ones(3, np.float32)), 1)

    assert found.ids[:, 0].tolist() == [0, 1, 2]
    assert (found.scores == 0).all()


def test_coded_queries_of_length_1_pass_for_it(rng):
    gallery = rng.standard_normal((9, 64), dtype=np.float32)
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    index = GalleryIndex.build(gallery, unit_queries=True)

    coded = QueryQuantizer(index.query_contract()).quantize(gallery)

    assert index.search(coded, 1).ids[:, 0].tolist() == list(range(9))


@pytest.mark.parametrize(
    ("queries", "network", "message"),
    [
        (np.ones((1, 15), np.float32), None, "the 16 dimensions of the index, got 15"),
        (np.ones((1, 16), np.float32), "7f", "network 5e, got queries for network 7f"),
        (np.ones((1, 16), np.float64), None, "float32 or float16, got float64"),
        (np.full((1, 16), np.nan, np.float32), None, "must be finite to be rounded"),
    ],
)
def test_what_breaks_the_contract_is_refused_before_it_is_sent(queries, network, message, index):
    with pytest.raises(BadArgument, match=message):
        QueryQuantizer(index.query_contract()).quantize(queries, network_sha256=network)


def test_codes_made_for_another_index_are_refused(index, rng):
    other = GalleryIndex.build(rng.random((2, 16), np.float32), network_sha256="7f")
    coded = QueryQuantizer(other.query_contract()).quantize(rng.random((1, 16), np.float32))

    with pytest.raises(BadArgument, match="network 5e, got queries for network 7f"):
        index.search(coded, 1)


@pytest.mark.parametrize(
    ("codes", "scales", "message"),
    [
        (np.ones((2, 3), np.int16), np.ones(2, np.float32), "codes must be an int8 array"),
        ([[1, 2]], np.ones(1, np.float32), "codes must be an int8 array .*, got list"),
        (np.ones((2, 3), np.int8), 0.5, "scales must be a float32 array, got float"),
        (np.ones((2, 3), np.int8), np.ones(3, np.float32), "for each of the 2 queries"),
        (np.ones((1, 3), np.int8), np.full(1, np.nan, np.float32), "finite, positive"),
        (np.ones((1, 3), np.int8), np.full(1, -1, np.float32), "finite, positive"),
    ],
)
def test_codes_and_scales_must_fit_each_other(codes, scales, message):
    with pytest.raises(BadArgument, match=message):
        QuantizedQueries(codes=codes, scales=scales)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"largest_code": 255},
        {"dimension": 0},
        {"dimension": 3.0},
        {"metric": "hamming"},
        {"unit_queries": 1},
        {"network_sha256": 5},
        {"colour": "red"},
    ],
)
def test_a_contract_from_elsewhere_is_checked(change):
    document = QueryContract(dimension=3, metric="ip").to_json()
    assert QueryContract.from_json(document).dimension == 3

    with pytest.raises(BadArgument, match="ask the index for it again"):
        QueryContract.from_json(document | change)
