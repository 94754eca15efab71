"""An index answers as a brute-force search does, for every way of giving and keeping embeddings."""

import numpy as np
import pytest

from cmpc_kernels import BadArgument, GalleryIndex, IndexSettings, reference

METRICS = ["cosine", "ip", "l2"]
NAMES = ["openmoji/1F600", "twemoji/1F600", "ünï/\n\"'", ""]


@pytest.fixture
def embeddings(rng):
    return rng.standard_normal((4, 7), dtype=np.float32)


def assert_same(found, expected, *, atol=1e-5):
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5, atol=atol)
    assert (found.scores.dtype, found.ids.dtype) == (np.float32, np.int64)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("storage", ["float32", "float16"])
@pytest.mark.parametrize("dimension", [1, 7, 128, 4096])
def test_exact_mode_finds_what_brute_force_finds_in_the_stored_rows(
    metric, storage, dimension, rng
):
    gallery = rng.standard_normal((300, dimension), dtype=np.float32)
    queries = rng.standard_normal((5, dimension), dtype=np.float32)

    index = GalleryIndex.build(gallery, metric, storage=storage)

    stored = index.rows.astype(np.float32)
    assert index.rows.dtype == storage
    assert_same(index.search(queries, 10), reference.topk(queries, stored, 10, metric), atol=1e-3)


@pytest.mark.parametrize("mode", ["exact", "codes"])
def test_arrays_files_and_streams_build_the_same_index(mode, rng, tmp_path, monkeypatch):
    monkeypatch.setattr("cmpc_kernels.gallery.chunks.CHUNK_VALUES", 200)  # several pieces
    gallery = rng.standard_normal((101, 6), dtype=np.float32)
    np.save(tmp_path / "rows.npy", gallery)
    strided = np.asfortranarray(np.repeat(gallery, 2, axis=0))[::2]
    strided.flags.writeable = False
    sources = {
        "path": tmp_path / "rows.npy",
        "text": str(tmp_path / "rows.npy"),
        "mapped": np.load(tmp_path / "rows.npy", mmap_mode="r"),
        "strided and read-only": strided,
        "chunks": [gallery[:1], gallery[1:1], gallery[1:64], gallery[64:]],
        "stream": (gallery[start : start + 7] for start in range(0, 101, 7)),
    }
    expected = GalleryIndex.build(gallery, mode=mode).search(gallery, 9)

    for name, source in sources.items():
        found = GalleryIndex.build(source, mode=mode).search(gallery, 9)
        np.testing.assert_array_equal(found.ids, expected.ids, name)
        np.testing.assert_array_equal(found.scores, expected.scores, name)


def test_an_index_keeps_its_own_copy_of_the_rows(embeddings):
    index = GalleryIndex.build(embeddings)
    embeddings[:] = 0

    assert index.rows.any()
    assert not index.rows.flags.writeable


def test_names_and_labels_are_found_by_id(embeddings):
    index = GalleryIndex.build(embeddings, item_names=NAMES, labels=[2**60, -1, 0, 0])
    nearest = index.search(embeddings, 1).ids[:, 0]

    assert index.names_of(nearest) == [NAMES[n] for n in nearest]
    np.testing.assert_array_equal(index.labels_of([[0, 1], [3, 2]]), [[2**60, -1], [0, 0]])
    assert index.ids_of(["", "openmoji/1F600", "unheard of"]).tolist() == [0, 3]
    with pytest.raises(BadArgument, match="every id must be in the index, got -1"):
        index.names_of([0, -1])


@pytest.mark.parametrize("mode", ["exact", "codes"])
@pytest.mark.parametrize("metric", METRICS)
def test_an_empty_gallery_and_too_large_a_k_leave_empty_slots(metric, mode, embeddings):
    empty = GalleryIndex.build(np.empty((0, 7), np.float16), metric, mode=mode)
    full = GalleryIndex.build(embeddings, metric, mode=mode)
    worst = np.inf if metric == "l2" else -np.inf

    assert empty.search(embeddings, 2).ids.tolist() == [[-1, -1]] * 4
    assert empty.search(embeddings[:0], 2).ids.shape == (0, 2)
    found = full.search(embeddings, 9)
    assert (found.ids[:, 4:] == -1).all()
    assert (found.scores[:, 4:] == worst).all()
    assert (np.sort(found.ids[:, :4]) == np.arange(4)).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_duplicates_zeros_and_denormals_are_ranked_by_score_then_id(metric, storage, rng):
    gallery = rng.integers(-2, 3, (150, 5)).astype(np.float32)
    gallery[40:80] = gallery[:40]
    gallery[80:90] = 0
    gallery[90:100] = 1e-41 if storage == "float32" else 6e-8
    queries = np.concatenate([gallery[35:45], np.zeros((1, 5), np.float32)])

    index = GalleryIndex.build(gallery, metric, storage=storage)

    found = index.search(queries, 150)
    expected = reference.topk(queries, index.rows.astype(np.float32), 150, metric)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
    if metric != "cosine":  # which rounds: scores that are equal on paper may differ
        np.testing.assert_array_equal(found.ids, expected.ids)
    for ids in found.ids.tolist():
        places = [ids.index(item) for item in range(100)]
        assert all(places[item] < places[item + 40] for item in range(40))
        assert places[80:90] == sorted(places[80:90])


def test_a_query_that_is_no_number_finds_nothing_and_disturbs_no_other(embeddings):
    queries = embeddings.copy()
    queries[1, 3] = np.nan
    found = GalleryIndex.build(embeddings, "cosine").search(queries, 2)

    assert found.ids[1].tolist() == [-1, -1]
    np.testing.assert_array_equal(found.ids[[0, 2, 3], 0], [0, 2, 3])


@pytest.mark.parametrize("as_mask", [True, False])
def test_a_filter_restricts_what_is_found(as_mask, rng):
    gallery = rng.standard_normal((500, 12), dtype=np.float32)
    is_allowed = rng.random(500) < 0.1
    index = GalleryIndex.build(gallery, "l2")

    found = index.search(gallery[:9], 5, allow=is_allowed if as_mask else is_allowed.nonzero()[0])

    expected = reference.topk(gallery[:9], gallery[is_allowed], 5, "l2")
    np.testing.assert_array_equal(found.ids, is_allowed.nonzero()[0][expected.ids])
    assert (index.search(gallery[:2], 3, allow=[]).ids == -1).all()
    assert index.search(gallery[:1], 2, allow=[7, 7, 10**12, -1]).ids.tolist() == [[7, -1]]


def test_a_mask_is_of_the_items_that_are_left(embeddings):
    index = GalleryIndex.build(embeddings)
    index.remove([1])

    found = index.search(embeddings[:1], 4, allow=np.array([False, True, True]))

    assert sorted(found.ids[0].tolist()) == [-1, -1, 2, 3]


@pytest.mark.parametrize(
    ("allow", "message"),
    [
        (np.ones(3, np.bool_), "one value for each of the 4 items"),
        (["a"], r"ids must be integers .* look names up"),
        ([0.5], "ids must be integers"),
    ],
)
def test_a_filter_that_fits_no_item_is_refused(allow, message, embeddings):
    with pytest.raises(BadArgument, match=message):
        GalleryIndex.build(embeddings).search(embeddings, 1, allow=allow)


def test_queries_of_another_space_or_dimension_are_refused(embeddings):
    index = GalleryIndex.build(embeddings, network_sha256="5e")
    with pytest.raises(BadArgument, match="that of network 5e, got queries for network 7f"):
        index.search(embeddings, 1, network_sha256="7f")
    with pytest.raises(BadArgument, match="that of network unknown, got queries for network 7f"):
        GalleryIndex.build(embeddings).search(embeddings, 1, network_sha256="7f")
    with pytest.raises(BadArgument, match="the 7 dimensions of the index, got 6"):
        index.search(embeddings[:, :6], 1)
    with pytest.raises(BadArgument, match="k must be an integer of at least 1, got 0"):
        index.search(embeddings, 0)
    with pytest.raises(BadArgument, match=r"give a single embedding as queries\[np.newaxis\]"):
        index.search(embeddings[0], 1)


def test_queries_must_have_length_1_where_that_is_asked_for(embeddings):
    index = GalleryIndex.build(embeddings, unit_queries=True)
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)

    assert index.search(units, 1).ids.shape == (4, 1)
    units[2] *= 1.1
    with pytest.raises(BadArgument, match=r"length 1, got 1.1 in row 2; divide each by its length"):
        index.search(units, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embeddings": np.full((4, 7), np.nan, np.float32)}, "must be finite.* first in row 0"),
        ({"embeddings": [np.ones((2, 7), "f4"), np.full((2, 7), np.inf, "f4")]}, "first in row 2"),
        ({"embeddings": [np.ones((2, 7), "f4"), np.ones((2, 6), "f4")]}, "got 7 and then 6"),
        ({"embeddings": iter(())}, "at least one chunk, got none"),
        ({"embeddings": np.ones((4, 7))}, "float32 or float16, got float64"),
        ({"embeddings": np.ones((4, 7), ">f4")}, "float32 or float16, got >f4"),
        ({"embeddings": np.ones((4, 0), "f4")}, "at least one dimension"),
        ({"embeddings": 3}, "must be a NumPy array, got int"),
        ({"embeddings": np.full((1, 2), 7e4, "f4"), "storage": "float16"}, "within 65504"),
        ({"metric": "hamming"}, "no metric is called 'hamming'"),
        ({"mode": "swift"}, "no mode is called 'swift'"),
        ({"mode": "exact", "storage": "int8"}, "for int8 set mode='codes'"),
        ({"mode": "codes", "storage": "float16"}, "keeps int8 or binary"),
        ({"storage": "float64"}, "there are float32, float16, int8, binary"),
        ({"item_names": ["a"]}, "one name for each of the 4 items, got 1"),
        ({"item_names": "abcd"}, "one name for each of the 4 items"),
        ({"labels": [1.5, 2, 3, 4]}, "labels must be integers, got float64"),
    ],
)
def test_what_cannot_be_indexed_is_refused(change, message, embeddings):
    with pytest.raises(BadArgument, match=message):
        GalleryIndex.build(**{"embeddings": embeddings} | change)


def test_a_file_that_is_no_array_is_refused(tmp_path):
    (tmp_path / "rows.npy").write_bytes(b"\x93NUMPY and then nothing")
    np.savez(tmp_path / "rows.npz", rows=np.ones((2, 2), np.float32))

    for name in ("rows.npy", "rows.npz"):
        with pytest.raises(BadArgument, match=name):
            GalleryIndex.build(tmp_path / name)


@pytest.mark.parametrize("ids", [[1, 1, 2, 3], [3, 2, 1, 0], [-1, 0, 1, 2], [0, 1, 2]])
def test_ids_must_ascend(ids, embeddings):
    with pytest.raises(BadArgument, match="4 integers of at least 0, one for each item, ascending"):
        GalleryIndex.build_with(IndexSettings(), embeddings, ids=ids)


def test_given_ids_are_the_ones_that_are_found(embeddings):
    index = GalleryIndex.build_with(IndexSettings(metric="l2"), embeddings, ids=[2, 40, 41, 900])

    assert index.search(embeddings, 1).ids[:, 0].tolist() == [2, 40, 41, 900]
    assert index.add(embeddings[:1]).tolist() == [901]
