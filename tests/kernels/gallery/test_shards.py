"""A folder of shards answers as one index does, and a folder that was tampered with is refused."""

import json
import os
import resource
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmpc_kernels import (
    BadArgument,
    BadIndexFile,
    GalleryIndex,
    IndexSettings,
    ShardedIndex,
    open_index,
    reference,
)
from cmpc_kernels.gallery import shard_search


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
@pytest.mark.parametrize("mode", ["exact", "codes"])
@pytest.mark.parametrize("rows_per_shard", [9, 37, 100, 1000])
def test_shards_answer_as_one_index(metric, mode, rows_per_shard, rng, tmp_path):
    gallery = rng.standard_normal((100, 19), dtype=np.float32)
    gallery[60:70] = gallery[:10]  # ties across shards
    queries = gallery[:12] + np.float32(0.25)
    chosen = IndexSettings(metric=metric, mode=mode)
    expected = GalleryIndex.build_with(chosen, gallery).search(queries, 30)

    stream = (gallery[start : start + 9] for start in range(0, 100, 9))
    sharded = ShardedIndex.build(tmp_path / "g", stream, chosen, rows_per_shard=rows_per_shard)

    assert len(sharded.shards) == -(-100 // rows_per_shard)
    for index in (sharded, open_index(tmp_path / "g"), open_index(tmp_path / "g", verify=False)):
        found = index.search(queries, 30)
        np.testing.assert_array_equal(found.ids, expected.ids)
        np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.fixture(params=[1, 3])
def num_threads(request, monkeypatch):
    """Threads, whatever the work is worth."""
    monkeypatch.setattr(shard_search, "num_useful_threads", lambda *_: request.param)
    return request.param


@settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_shards_that_begin_with_what_others_found_answer_as_one_index(num_threads, data):
    """Small whole numbers, or those next to them: scores are equal, or nearly, across shards."""
    metric = data.draw(st.sampled_from(["cosine", "ip", "l2"]))
    scale = data.draw(st.sampled_from([1e-20, 1, 3e18]))
    numbers = st.lists(
        st.lists(st.integers(-2, 2), min_size=2, max_size=2), min_size=20, max_size=60
    )
    dimension = data.draw(st.sampled_from([1, 2]))  # codes of one number have next to no error
    rows = np.array([[0, 1], *data.draw(numbers)], np.float32)[:, :dimension] * np.float32(scale)
    is_moved = data.draw(st.booleans())
    if is_moved:
        seed = data.draw(st.integers(0, 99))
        rows *= 1 + np.random.default_rng(seed).integers(-2, 3, rows.shape) * np.float32(2**-23)
    queries = np.array([[1, 0], [-2, 1], [0, 0], [1, 1]], np.float32)[:, :dimension]
    queries = queries * np.float32(scale)
    k = data.draw(st.integers(1, 4))
    step = data.draw(st.integers(1, 7))
    shards = [
        GalleryIndex.build_with(IndexSettings(metric=metric), rows[n : n + step], first_id=n)
        for n in range(0, len(rows), step)
    ]

    found = shard_search.search_shards(shards, queries, k, [None] * len(shards), num_threads)

    expected = GalleryIndex.build(rows, metric).search(queries, k)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.scores.astype(np.float32), expected.scores)
    if metric != "cosine" and not is_moved:
        np.testing.assert_array_equal(found.ids, reference.topk(queries, rows, k, metric).ids)


def test_a_shard_need_not_find_what_those_before_it_have_better(monkeypatch):
    floors, search = [], GalleryIndex.search_unrounded

    def noted(shard, *arguments, floor, **options):
        floors.append(floor.tolist())
        return search(shard, *arguments, floor=floor, **options)

    monkeypatch.setattr(GalleryIndex, "search_unrounded", noted)
    rows = np.array([[3], [9], [1], [2], [8], [7]], np.float32)
    shards = [GalleryIndex.build(rows[n : n + 2], "l2") for n in (0, 2, 4)]
    shard_search.search_shards(shards, np.zeros((1, 1), np.float32), 2, [None] * 3, 1)

    assert floors == [[np.inf], [81], [4]]
    found = search(
        shards[2], np.zeros((1, 1), "f4"), 2, allow=None, num_threads=1, floor=np.array([4.0])
    )
    assert found.ids.tolist() == [[-1, -1]]


def test_scores_that_differ_only_beyond_float32_rank_alike_across_shards(tmp_path):
    gallery = np.array([[1, 0], [1, 2**-30], [1, 2**-31]], np.float32)
    queries = np.ones((1, 2), np.float32)

    assert GalleryIndex.build(gallery).search(queries, 3).ids.tolist() == [[1, 2, 0]]
    sharded = ShardedIndex.build(tmp_path / "g", gallery, rows_per_shard=1)
    assert sharded.search(queries, 3).ids.tolist() == [[1, 2, 0]]


def test_memory_holds_one_shard_at_a_time(tmp_path, monkeypatch):
    """The stream is read no further than the shard that is being written."""
    read, written = [], []
    write = GalleryIndex.write
    monkeypatch.setattr(
        GalleryIndex, "write", lambda self, path: written.append(len(read)) or write(self, path)
    )

    def stream():
        for number in range(8):
            read.append(number)
            yield np.full((10, 3), number, np.float32)

    ShardedIndex.build(tmp_path / "g", stream(), rows_per_shard=20)

    assert written == [3, 5, 7, 8]  # one piece ahead tells that a shard is full


def test_an_empty_gallery_has_one_empty_shard(tmp_path):
    sharded = ShardedIndex.build(tmp_path / "g", np.empty((0, 3), np.float32))

    assert sharded.search(np.ones((1, 3), np.float32), 2).ids.tolist() == [[-1, -1]]
    assert sharded.add(np.ones((2, 3), np.float32)).tolist() == [0, 1]
    assert open_index(tmp_path / "g").search(np.ones((1, 3), np.float32), 1).ids.tolist() == [[0]]


def test_additions_fill_the_last_shard_before_there_is_another(rng, tmp_path):
    gallery = rng.standard_normal((30, 5), dtype=np.float32)
    sharded = ShardedIndex.build(tmp_path / "g", gallery[:5], rows_per_shard=8)
    first = sharded.shards[0]

    for start, stop, sizes in [(5, 6, [6]), (6, 6, [6]), (6, 15, [8, 7]), (15, 30, [8, 8, 8, 6])]:
        assert sharded.add(gallery[start:stop]).tolist() == list(range(start, stop))
        assert [len(shard) for shard in open_index(tmp_path / "g").shards] == sizes

    assert len(first) == 5  # who searched it goes on
    np.testing.assert_array_equal(
        open_index(tmp_path / "g").search(gallery, 9).ids,
        GalleryIndex.build(gallery).search(gallery, 9).ids,
    )


def test_a_stream_that_ends_with_nothing_makes_no_shard_of_it(tmp_path):
    stream = iter([np.ones((4, 3), np.float32), np.ones((0, 3), np.float32)])

    assert len(ShardedIndex.build(tmp_path / "g", stream, rows_per_shard=4).shards) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"embeddings": [np.ones((30, 3), "f4"), np.full((30, 3), np.nan, "f4")]},
        {"embeddings": [np.ones((30, 3), "f4"), np.ones((30, 4), "f4")]},
        {"item_names": ["a"] * 59},
        {"item_names": ["a"] * 61},
        {"labels": [1] * 100},
    ],
)
def test_a_build_or_an_addition_that_fails_leaves_no_file(change, tmp_path):
    gallery = np.ones((60, 3), np.float32)
    arguments = {"embeddings": gallery, "item_names": ["a"] * 60, "labels": [1] * 60}

    with pytest.raises(BadArgument):
        ShardedIndex.build(tmp_path / "g", rows_per_shard=20, **arguments | change)
    assert not any((tmp_path / "g").iterdir())

    sharded = ShardedIndex.build(tmp_path / "g", rows_per_shard=20, **arguments)
    with pytest.raises(BadArgument):
        sharded.add(**arguments | change)
    assert len(list((tmp_path / "g").iterdir())) == 4
    assert len(open_index(tmp_path / "g")) == 60


def test_a_gallery_is_not_built_over_another(tmp_path):
    ShardedIndex.build(tmp_path, np.ones((1, 3), np.float32))

    with pytest.raises(BadArgument, match="must hold no gallery yet"):
        ShardedIndex.build(tmp_path, np.ones((1, 3), np.float32))


@pytest.fixture
def folder(rng, tmp_path):
    """A gallery of two shards."""
    gallery = rng.standard_normal((8, 3), dtype=np.float32)
    ShardedIndex.build(tmp_path / "g", gallery, rows_per_shard=4)
    return tmp_path / "g"


MANIFEST = "manifest-1.json"


def shards_of(folder):
    manifest = json.loads((folder / MANIFEST).read_text())
    return [folder / shard["file"] for shard in manifest["shards"]]


def edited(change):
    def damage(folder):
        manifest = json.loads((folder / MANIFEST).read_text())
        change(manifest)
        (folder / MANIFEST).write_text(json.dumps(manifest))

    return damage


def swap(folder):
    first, second = shards_of(folder)
    first.rename(folder / "aside")
    second.rename(first)
    (folder / "aside").rename(second)


def foreign(folder):
    GalleryIndex.build(np.ones((4, 3), np.float32)).save(shards_of(folder)[0])


def flipped(folder):
    content = bytearray(shards_of(folder)[1].read_bytes())
    content[-5] ^= 1
    shards_of(folder)[1].write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / MANIFEST).unlink(), "must hold the manifest of a gallery"),
        (lambda folder: (folder / MANIFEST).write_text("[" * 9999), "must be a readable JSON"),
        (lambda folder: (folder / MANIFEST).write_text("3"), "must hold a JSON object"),
        (lambda folder: (folder / MANIFEST).rename(folder / "manifest.json"), "index', 2, 1"),
        (lambda folder: (folder / MANIFEST).rename(folder / "manifest-2.json"), "index', 2, 1"),
        (lambda folder: shards_of(folder)[1].unlink(), "must have its shard shard-.*index"),
        (swap, "must be the file that the manifest names"),
        (foreign, "must be the file that the manifest names"),
        (flipped, "does not match its checksum"),
        (edited(lambda m: m["shards"].reverse()), "must hold ascending ids"),
        (edited(lambda m: m.update(next_id=7)), "must hold ascending ids"),
        (edited(lambda m: m["shards"].clear()), "must be a manifest"),
        (edited(lambda m: m["shards"][0].update(file="../x.index")), "files of the folder"),
        (edited(lambda m: m.update(version=3)), "manifest of version 2"),
        (edited(lambda m: m.pop("generation")), "manifest of version 2"),
        (edited(lambda m: m.update(dimension="3")), "must be whole numbers"),
        (edited(lambda m: m.update(colour="red")), "must be a manifest"),
        (edited(lambda m: m["settings"].update(metric="hamming")), "no metric is called"),
        (edited(lambda m: m["settings"].update(metric="l2")), "must be the file that"),
    ],
)
def test_a_folder_that_was_tampered_with_is_refused(damage, message, folder):
    damage(folder)

    with pytest.raises(BadIndexFile, match=message):
        open_index(folder)


def test_a_gallery_opens_although_it_has_more_shards_than_files_may_be_open(tmp_path):
    ShardedIndex.build(tmp_path / "g", np.eye(40, dtype=np.float32), rows_per_shard=1)
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.close(lowest_free := os.dup(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + 1, allowed[1]))
    try:
        opened = open_index(tmp_path / "g")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, allowed)

    assert len(opened.shards) == 40
    assert opened.search(np.eye(40, dtype=np.float32), 1).ids[:, 0].tolist() == list(range(40))


def test_a_copied_folder_is_the_same_gallery(folder, tmp_path):
    queries = np.eye(3, dtype=np.float32)
    expected = open_index(folder).search(queries, 5)
    shutil.move(shutil.copytree(folder, tmp_path / "copy"), tmp_path / "moved")

    np.testing.assert_array_equal(
        open_index(tmp_path / "moved").search(queries, 5).ids, expected.ids
    )
