"""Whatever is added, removed, merged, compacted and saved: the answer is that of what is left."""

import itertools
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cmpc_kernels import BadArgument, GalleryIndex, IndexSettings, ShardedIndex, reference

DIM = 3
QUERIES = np.array([[1, 0, 0], [-1, 2, 1], [0, 0, 0]], np.float32)
rows = st.integers(0, 40).flatmap(
    lambda num: npst.arrays(np.float32, (num, DIM), elements=st.integers(-2, 2))
)


def name_of(item):
    return f"item/{item}"


class Changes(RuleBasedStateMachine):
    """An index beside a plain dictionary from ids to rows; whole numbers, so ties are many."""

    def make(self, gallery):
        raise NotImplementedError

    @initialize(metric=st.sampled_from(["ip", "l2"]), gallery=rows)
    def start(self, metric, gallery):
        self.settings = IndexSettings(metric=metric)
        self.folder = tempfile.TemporaryDirectory()
        self.index = self.make(gallery)
        self.row_of = dict(enumerate(gallery))
        self.next_id = len(gallery)

    def teardown(self):
        if hasattr(self, "folder"):
            self.folder.cleanup()

    def took(self, ids, gallery):
        assert ids.tolist() == list(range(self.next_id, self.next_id + len(gallery)))
        self.row_of |= dict(zip(ids.tolist(), gallery, strict=True))
        self.next_id += len(gallery)

    def names(self, num):
        return [name_of(item) for item in range(self.next_id, self.next_id + num)]

    @rule(gallery=rows)
    def add(self, gallery):
        labels = np.arange(self.next_id, self.next_id + len(gallery)) % 3
        names = self.names(len(gallery))
        self.took(self.index.add(gallery, item_names=names, labels=labels), gallery)

    @rule(data=st.data())
    def remove(self, data):
        gone = data.draw(st.sets(st.sampled_from(sorted(self.row_of)))) if self.row_of else set()
        self.index.remove(sorted(gone))
        for item in gone:
            del self.row_of[item]

    @rule(data=st.data())
    def removing_what_is_not_there_changes_nothing(self, data):
        there = data.draw(st.sets(st.sampled_from(sorted(self.row_of)))) if self.row_of else set()
        with pytest.raises(BadArgument, match="every id to remove must be in"):
            self.index.remove([*there, self.next_id])

    @invariant()
    def it_answers_as_brute_force_does(self):
        self.compare(sorted(self.row_of), None)

    @rule(data=st.data())
    def it_answers_with_a_filter_as_brute_force_does(self, data):
        ids = sorted(self.row_of)
        is_allowed = data.draw(npst.arrays(np.bool_, len(ids)))
        allowed = [item for item, is_in in zip(ids, is_allowed, strict=True) if is_in]
        self.compare(allowed, is_allowed)
        self.compare(allowed, np.array([*allowed, self.next_id], np.int64))

    def compare(self, ids, allow):
        gallery = np.array([self.row_of[item] for item in ids], np.float32).reshape(-1, DIM)
        expected = reference.topk(QUERIES, gallery, 7, self.settings.metric)
        found = self.index.search(QUERIES, 7, allow=allow)
        np.testing.assert_array_equal(found.ids, np.array([*ids, -1])[expected.ids])
        np.testing.assert_array_equal(found.scores, expected.scores)

    @invariant()
    def ids_names_and_labels_belong_together(self):
        ids = sorted(self.row_of)
        assert self.index.ids.tolist() == ids
        assert len(self.index) == len(ids)
        asked = np.arange(-1, self.next_id + 1)
        assert self.index.contains(asked).tolist() == np.isin(asked, ids).tolist()
        assert list(self.index.item_names) == [name_of(item) for item in ids]
        assert self.index.labels.tolist() == [item % 3 for item in ids]
        assert self.index.names_of(ids[::2]) == [name_of(item) for item in ids[::2]]
        assert self.index.labels_of(ids[1::2]).tolist() == [item % 3 for item in ids[1::2]]
        assert self.index.ids_of([name_of(item) for item in ids[1::2]]).tolist() == ids[1::2]


class IndexChanges(Changes):
    """One index in memory or mapped from its file."""

    def make(self, gallery):
        return GalleryIndex.build_with(
            self.settings,
            gallery,
            item_names=[name_of(n) for n in range(len(gallery))],
            labels=np.arange(len(gallery)) % 3,
        )

    @rule()
    def compact(self):
        self.index.compact()

    @rule(gallery=rows, data=st.data())
    def merge(self, gallery, data):
        num = len(gallery)
        labels = np.arange(self.next_id, self.next_id + num) % 3
        is_kept = data.draw(npst.arrays(np.bool_, num))
        order = np.argsort(~is_kept, kind="stable")  # those that stay get the next ids in turn
        names, numbers = self.names(num), np.empty(num, int)
        numbers[order] = np.arange(num)
        other = GalleryIndex.build_with(
            self.settings,
            gallery,
            item_names=[names[n] for n in numbers],
            labels=labels[numbers],
        )
        other.remove(np.flatnonzero(~is_kept))
        self.took(self.index.merge(other), gallery[is_kept])

    @rule(verify=st.booleans())
    def save_and_load(self, verify):
        path = Path(self.folder.name) / "gallery.index"
        self.index.save(path)
        self.index = GalleryIndex.load(path, verify=verify)


class ShardChanges(Changes):
    """A folder of small shards, reopened now and then."""

    rows_per_shard = 17

    def make(self, gallery):
        return ShardedIndex.build(
            Path(self.folder.name) / "shards",
            gallery,
            self.settings,
            rows_per_shard=self.rows_per_shard,
            item_names=[name_of(n) for n in range(len(gallery))],
            labels=np.arange(len(gallery)) % 3,
        )

    @rule(verify=st.booleans())
    def open_again(self, verify):
        self.index = ShardedIndex.open(self.index.folder, verify=verify)

    @rule(rows_per_shard=st.sampled_from([None, 5, 17, 40]))
    def compact(self, rows_per_shard):
        self.index.compact(rows_per_shard)
        self.rows_per_shard = rows_per_shard or self.rows_per_shard
        sizes = [len(shard) for shard in self.index.shards]
        assert all(sum(pair) > self.rows_per_shard for pair in itertools.pairwise(sizes))
        assert all(sizes) or len(sizes) == 1
        before = set(self.index.folder.iterdir())
        self.index.compact()
        assert set(self.index.folder.iterdir()) == before  # there was nothing left to do

    @invariant()
    def no_file_is_left_behind(self):
        folder = self.index.folder
        manifests = sorted(folder.glob("manifest-*.json"), key=lambda path: int(path.stem[9:]))[-2:]
        named = {
            shard["file"] for path in manifests for shard in json.loads(path.read_text())["shards"]
        }
        assert {path.name for path in folder.iterdir()} == named | {path.name for path in manifests}


swiftly = settings(derandomize=True, max_examples=20, stateful_step_count=8)
TestIndexChanges = IndexChanges.TestCase
TestIndexChanges.settings = swiftly
TestShardChanges = ShardChanges.TestCase
TestShardChanges.settings = swiftly


@pytest.mark.parametrize("storage", ["int8", "binary"])
@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_an_index_of_codes_that_grew_answers_as_one_built_at_once(metric, storage, rng):
    gallery = rng.standard_normal((131, 33), dtype=np.float32)
    settings = IndexSettings(metric=metric, mode="codes", storage=storage)
    grown = GalleryIndex.build_with(settings, gallery[:5])
    for start, stop in [(5, 6), (6, 40), (40, 101)]:
        grown.add(gallery[start:stop])
    grown.merge(GalleryIndex.build_with(settings, gallery[101:]))
    grown.remove([0, 1, 2, 70, 130])
    grown.compact()

    kept = np.delete(np.arange(131), [0, 1, 2, 70, 130])
    expected = GalleryIndex.build_with(settings, gallery[kept], ids=kept).search(gallery, 9)
    found = grown.search(gallery, 9)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.mark.parametrize("num_items", [16, 21])
def test_an_index_merged_with_itself_has_everything_twice(num_items, rng):
    gallery = rng.standard_normal((num_items, 4), dtype=np.float32)
    names = [name_of(item) for item in range(num_items)]
    index = GalleryIndex.build(gallery, item_names=names)

    assert index.merge(index).tolist() == list(range(num_items, 2 * num_items))

    assert list(index.item_names) == names * 2
    np.testing.assert_array_equal(index.rows, np.concatenate([gallery, gallery]))
    assert index.search(gallery[:1], 2, allow=[3, num_items + 3]).ids.tolist() == [
        [3, num_items + 3]
    ]


def test_ids_are_kept_in_a_merge_only_above_those_that_are_there():
    low, high = (
        GalleryIndex.build_with(IndexSettings(), np.eye(2, dtype=np.float32), ids=ids)
        for ids in ([3, 5], [6, 9])
    )
    with pytest.raises(BadArgument, match="higher than 9 to be kept, got 3"):
        high.merge(low, keep_ids=True)

    assert low.merge(high, keep_ids=True).tolist() == [6, 9]
    assert low.ids.tolist() == [3, 5, 6, 9]


def test_views_and_mapped_rows_stay_as_they_were(rng, tmp_path):
    gallery = rng.standard_normal((50, 8), dtype=np.float32)
    GalleryIndex.build(gallery[:40]).save(tmp_path / "g.index")
    index = GalleryIndex.load(tmp_path / "g.index")
    before = index.rows

    for row in gallery[40:]:
        index.add(row[np.newaxis])

    np.testing.assert_array_equal(before, gallery[:40])
    np.testing.assert_array_equal(index.rows, gallery)
    np.testing.assert_array_equal(GalleryIndex.load(tmp_path / "g.index").rows, gallery[:40])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"item_names": ["c"]}, "one name for each of the 2 items, got 1"),
        ({"item_names": None}, "have item_names; give item_names for new ones too"),
        ({"labels": [1, 2]}, "have no labels; add new ones without"),
        ({"embeddings": np.ones((2, 4), np.float32)}, "the 3 dimensions of the index, got 4"),
        (
            {"embeddings": [np.ones((1, 3), "f4"), np.full((1, 3), np.nan, "f4")]},
            "first in row 1",
        ),
    ],
)
def test_an_addition_that_does_not_fit_changes_nothing(change, message):
    gallery = np.eye(3, dtype=np.float32)
    index = GalleryIndex.build(gallery, item_names=["a", "b", ""])
    arguments = {"embeddings": gallery[:2], "item_names": ["c", "d"]} | change

    with pytest.raises(BadArgument, match=message):
        index.add(**arguments)

    assert list(index.item_names) == ["a", "b", ""]
    assert index.search(gallery, 4).ids[:, 0].tolist() == [0, 1, 2]
    assert index.add(gallery[:1], item_names=["c"]).tolist() == [3]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (GalleryIndex.build(np.ones((1, 3), "f4"), "l2"), "same settings to be merged"),
        (GalleryIndex.build(np.ones((1, 3), "f4"), network_sha256="5e"), "same settings"),
        (GalleryIndex.build(np.ones((1, 2), "f4")), "the 3 dimensions of the index, got 2"),
        (GalleryIndex.build(np.ones((1, 3), "f4"), labels=[1]), "have no labels"),
    ],
)
def test_indexes_that_do_not_fit_are_not_merged(other, message):
    index = GalleryIndex.build(np.ones((1, 3), np.float32))

    with pytest.raises(BadArgument, match=message):
        index.merge(other)

    assert len(index) == 1
