"""Rows without a direction are found and named; all others get length one."""

import numpy as np
import pytest

from cmpc_search.directions import check_directions, unit_rows
from cmpc_search.errors import BadEmbeddings


@pytest.mark.parametrize("scale", [1e-30, 1, 1e37])
def test_rows_of_any_length_get_length_one(scale):
    rows = (np.array([[3, 4], [-1, 0]]) * scale).astype(np.float32)

    found = unit_rows(rows, None, "some")

    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[0.6, 0.8], [-1, 0]], rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0])
def test_the_first_items_without_a_direction_are_named(value):
    rows = np.ones((70_000, 2), np.float32)
    rows[[5, 66_000, 66_001, 66_002, 66_003]] = value
    rows[[1, 2], 0] = 0  # a zero is no harm beside another number
    names = [f"item {number}" for number in range(len(rows))]

    with pytest.raises(
        BadEmbeddings, match="each row of some rows must be finite and not all zero"
    ):
        check_directions(rows, names, "some rows")
    with pytest.raises(BadEmbeddings, match="for 'item 66000', 'item 66001', 'item 66002' and oth"):
        check_directions(rows[6:], names[6:], "rows.npy")
    with pytest.raises(BadEmbeddings, match=r"for row 5$"):
        check_directions(rows[:9], None, "rows.npy")


@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
def test_no_rows_are_no_embeddings(shape):
    with pytest.raises(BadEmbeddings, match="must hold rows"):
        check_directions(np.ones(shape, np.float32), None, "rows.npy")
