"""Every kind of index keeps the promise of all of them."""

import numpy as np
import pytest

from cmpc_kernels import GalleryIndex, IndexSettings, ShardedIndex
from cmpc_kernels.testing.indexes import SearchableContract


class TestExact(SearchableContract):
    @pytest.fixture
    def build(self):
        return GalleryIndex.build


class TestHalfPrecision(SearchableContract):
    @pytest.fixture
    def build(self):
        return lambda rows, metric: GalleryIndex.build(rows, metric, storage="float16")


class TestCodes(SearchableContract):
    @pytest.fixture
    def build(self):
        return lambda rows, metric: GalleryIndex.build(rows, metric, mode="codes")


class TestShards(SearchableContract):
    @pytest.fixture
    def build(self, tmp_path):
        def build(rows, metric):
            settings = IndexSettings(metric=metric)
            return ShardedIndex.build(tmp_path / "shards", rows, settings, rows_per_shard=20)

        return build


@pytest.mark.parametrize("mode", ["ivf", "hnsw"])
class TestFaiss(SearchableContract):
    @pytest.fixture
    def build(self, mode):
        pytest.importorskip("faiss")
        return lambda rows, metric: GalleryIndex.build(rows, metric, mode=mode)


def test_the_contract_is_broken_by_an_index_that_ignores_the_mask(tmp_path):
    """A contract that nothing can break would promise nothing."""

    class Careless(GalleryIndex):
        def search_unrounded(self, query_QD, num_kept, *, allow, num_threads):
            return super().search_unrounded(query_QD, num_kept, allow=None, num_threads=num_threads)

    rows = np.eye(64, 12, dtype=np.float32) + np.float32(0.1)
    with pytest.raises(AssertionError):
        SearchableContract().test_a_slot_that_no_item_can_fill_has_no_id(
            Careless.build(rows, "l2"), rows
        )
