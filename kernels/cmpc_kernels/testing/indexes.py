"""What every index promises, whoever searches.

class TestMine(SearchableContract):
    @pytest.fixture
    def build(self):
        return Mine.build  # called with rows, float32 [G, D], and metric="ip", "cosine" or "l2"
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cmpc_kernels.errors import BadArgument
from cmpc_kernels.evaluation.recall import measure_recall
from cmpc_kernels.gallery.quantizer import QueryQuantizer
from cmpc_kernels.gallery.searchable import Searchable
from cmpc_kernels.metrics import METRIC_NUMBERS
from cmpc_kernels.nearest.similarity import unit_rows

__all__ = ["Build", "SearchableContract"]

Build = Callable[..., Searchable]
Rows = npt.NDArray[np.float32]

NUM_ITEMS, DIMENSION = 64, 12


class SearchableContract:
    """Subclass it and give a ``build`` fixture; ids of what it builds are the rows' numbers."""

    @pytest.fixture
    def rows(self) -> Rows:
        """Rows of length 1, so that each is its own nearest by every metric."""
        return unit_rows(np.random.default_rng(0).standard_normal((NUM_ITEMS, DIMENSION), "f4"))

    @pytest.fixture(params=METRIC_NUMBERS)
    def index(self, build: Build, rows: Rows, request: pytest.FixtureRequest) -> Searchable:
        return build(rows, metric=request.param)

    def test_it_says_what_it_holds(self, index: Searchable) -> None:
        assert (len(index), index.dimension) == (NUM_ITEMS, DIMENSION)
        np.testing.assert_array_equal(index.ids, np.arange(NUM_ITEMS))
        contract = index.query_contract()
        assert (contract.dimension, contract.metric) == (DIMENSION, index.metric)

    def test_each_row_is_its_own_nearest(self, index: Searchable, rows: Rows) -> None:
        found = index.search(rows, 1)

        assert found.scores.dtype == np.float32
        assert found.ids.dtype == np.int64
        np.testing.assert_array_equal(found.ids[:, 0], index.ids)

    def test_neighbours_come_best_first(self, index: Searchable, rows: Rows) -> None:
        scores = index.search(rows, NUM_ITEMS).scores
        badness = scores if index.metric == "l2" else -scores

        assert (np.diff(badness, axis=1) >= 0).all()

    def test_a_slot_that_no_item_can_fill_has_no_id(self, index: Searchable, rows: Rows) -> None:
        found = index.search(rows[:2], 4, allow=[3, 8, NUM_ITEMS + 5])

        assert set(found.ids[0].tolist()) <= {3, 8, -1}
        assert (found.ids[:, 2:] == -1).all()
        assert np.isinf(found.scores[:, 2:]).all()

    def test_items_are_allowed_by_a_mask_as_by_their_ids(
        self, index: Searchable, rows: Rows
    ) -> None:
        is_allowed = np.zeros(NUM_ITEMS, np.bool_)
        is_allowed[[3, 8]] = True

        by_mask, by_id = (index.search(rows, 2, allow=one) for one in (is_allowed, [8, 3]))

        np.testing.assert_array_equal(by_mask.ids, by_id.ids)

    def test_queries_in_int8_are_those_that_they_stand_for(
        self, index: Searchable, rows: Rows
    ) -> None:
        coded = QueryQuantizer(index.query_contract()).quantize(rows)

        np.testing.assert_array_equal(
            index.search(coded, 1).ids, index.search(coded.to_float32(), 1).ids
        )

    def test_its_recall_can_be_measured(self, index: Searchable, rows: Rows) -> None:
        assert measure_recall(index, rows, 1, embeddings=rows).recall == 1

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"queries": np.ones((1, DIMENSION + 1), np.float32)}, "dimensions of the index"),
            ({"queries": [[0.0] * DIMENSION]}, "must be a NumPy array"),
            ({"k": 0}, "at least 1"),
            ({"network_sha256": "7f"}, "space of the index"),
        ],
        ids=str,
    )
    def test_what_it_can_not_answer_is_refused(
        self, index: Searchable, rows: Rows, change: dict[str, Any], said: str
    ) -> None:
        arguments: dict[str, Any] = {"queries": rows, "k": 1} | change

        with pytest.raises(BadArgument, match=said):
            index.search(**arguments)
