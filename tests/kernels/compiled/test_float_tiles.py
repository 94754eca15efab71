"""Float32 inner products of 16 rows, and the bounds that they give, against float64."""

import numba
import numpy as np
import pytest
from numba import config

from cmpc_kernels import topk
from cmpc_kernels.compiled import float_tiles
from cmpc_kernels.compiled.intrinsics import LANES
from cmpc_kernels.compiled.scans import bound_scores, fill_tails, measure_rows
from cmpc_kernels.metrics import METRIC_NUMBERS
from cmpc_kernels.nearest.codes import plain_rows
from cmpc_kernels.nearest.scan_arguments import FloatRoom, QueryCodes

TILES = {  # lanes, rows at a time, queries; those of every processor, which LLVM splits or joins
    "one, 8 lanes": (8, 1, 1),
    "one, 4 lanes": (4, 1, 1),
    "some, 16 lanes": (16, 4, 4),
    "some, 8 lanes": (8, 2, 4),
    "some, 4 lanes": (4, 4, 4),
}


def sixteen(row_GD, first):
    """Return 16 rows in float64, the last one again where there are no more."""
    return row_GD[np.minimum(np.arange(first, first + LANES), len(row_GD) - 1)].astype(np.float64)


@pytest.mark.skipif(config.DISABLE_JIT, reason="there is nothing compiled to compare with")
@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("dimension", [1, 16, 45])
def test_a_tile_fills_all_products_of_rows_and_queries(tile, dtype, dimension, rng):
    num_lanes, num_rows, num_queries = TILES[tile]
    is_single = num_queries == 1
    dot = float_tiles._make_dot(num_lanes, num_rows, num_queries, has_squares=is_single)
    compiled = numba.njit(lambda *arguments: dot(*arguments))
    row_GD = rng.standard_normal((37, dimension)).astype(dtype)
    query_QD = rng.standard_normal((2 * num_queries, dimension), dtype=np.float32)
    room, stored = FloatRoom.of(query_QD), plain_rows(row_GD)
    for first in (0, 16, 32):
        product_JL = np.full((num_queries, LANES), np.nan, np.float32)
        fill_tails(stored, first, len(row_GD), room.tails)

        compiled(
            stored, first, len(row_GD), room.tails, room.queries, num_queries, product_JL,
            room.squares,
        )  # fmt: skip

        row_LD = sixteen(row_GD, first)
        expected = query_QD[num_queries:].astype(np.float64) @ row_LD.T
        np.testing.assert_allclose(product_JL, expected, atol=1e-5)
        if is_single:
            np.testing.assert_allclose(room.squares, (row_LD**2).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("metric", METRIC_NUMBERS)
@pytest.mark.parametrize(
    ("scale", "query_scale"),
    [(1.0, 1.0), (1e-30, 1.0), (1e-42, 1.0), (1e15, 1.0), (1e30, 1.0), (1e-13, 1e-30)],
)
def test_a_rows_score_lies_between_its_float32_bounds(metric, scale, query_scale, rng):
    row_GD = (rng.standard_normal((LANES, 37)) * scale).astype(np.float32)
    row_GD[3:5] *= np.array([[1e-5], [0]], np.float32)
    query_QD = rng.standard_normal((1, 37), dtype=np.float32) * np.float32(query_scale)
    query = QueryCodes.of(query_QD, 8)
    room, lower_L = FloatRoom.of(query.rows), np.empty(LANES, np.float32)
    row_LD, query_D = row_GD.astype(np.float64), query.rows[0].astype(np.float64)
    with np.errstate(over="ignore"):  # bounds are to be right then too
        upper_L = (query.rows @ row_GD.T)[0]
        room.squares[:] = (row_GD * row_GD).sum(axis=1)
    measure_rows(room, 37, METRIC_NUMBERS[metric])

    num_left = bound_scores(room, query, 0, upper_L, lower_L)

    score_L = row_LD @ query_D
    if metric == "cosine":
        score_L = score_L / np.maximum(np.linalg.norm(row_LD, axis=1), 1e-300)
    elif metric == "l2":
        score_L = score_L - (row_LD**2).sum(axis=1) / 2
    assert num_left == LANES  # there is no threshold yet
    assert not (score_L > upper_L).any()  # NaN: nothing is known
    assert (lower_L <= score_L).all()
    if scale == 1:
        assert (upper_L - lower_L)[5:].max() < 0.01


@pytest.mark.parametrize("num_queries", [1, 5, 100])
def test_a_product_that_overflows_on_the_way_is_still_a_neighbour(num_queries, rng):
    row_GD = rng.standard_normal((200, 32), dtype=np.float32) * np.float32(1e-3)
    row_GD[150] = 0
    row_GD[150, :3] = -4e8, 3e8, 3e8  # by 1e30: -4e38 is no float32, the sum of 2e38 is
    queries = np.full((num_queries, 32), 1e30, np.float32)

    found = topk(queries, row_GD, 3)

    assert (found.ids[:, 0] == 150).all()
    np.testing.assert_allclose(found.scores[:, 0], 2e38, rtol=1e-6)
