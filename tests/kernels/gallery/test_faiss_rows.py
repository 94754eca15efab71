"""Indexes that FAISS searches: built, changed, saved and opened as any other, and nearly exact."""

import sys
from concurrent.futures import ThreadPoolExecutor

import faiss
import numpy as np
import pytest

from cmpc_base.errors import MissingLibrary
from cmpc_kernels import (
    BadArgument,
    BadIndexFile,
    GalleryIndex,
    IndexSettings,
    ShardedIndex,
    open_index,
    topk,
)
from cmpc_kernels.gallery.faiss_rows import FaissRows

METRICS = ["cosine", "ip", "l2"]
pytestmark = pytest.mark.parametrize("mode", ["ivf", "hnsw"])


@pytest.fixture
def gallery(rng):
    """2,000 rows around 40 centres: graphs and lists have something to find."""
    centres = rng.standard_normal((40, 24), dtype=np.float32)
    return centres[rng.integers(0, 40, 2000)] + 0.5 * rng.standard_normal((2000, 24)).astype("f4")


@pytest.fixture
def queries(gallery, rng):
    return gallery[:30] + 0.3 * rng.standard_normal((30, 24)).astype(np.float32)


def share_found(found, exact):
    pairs = zip(found.ids, exact.ids, strict=True)
    return np.mean([np.isin(right, ids).mean() for ids, right in pairs])


@pytest.mark.parametrize("metric", METRICS)
def test_nearly_all_is_found_with_the_scores_of_the_exact_answer(mode, metric, gallery, queries):
    found = GalleryIndex.build(gallery, metric, mode=mode).search(queries, 10)

    exact = topk(queries, gallery, 10, metric)
    assert share_found(found, exact) > 0.9
    is_first = found.ids[:, 0] == exact.ids[:, 0]
    np.testing.assert_allclose(found.scores[is_first, 0], exact.scores[is_first, 0], rtol=1e-3)


@pytest.mark.parametrize("metric", METRICS)
def test_a_saved_index_is_opened_with_the_same_answers_and_goes_on(
    mode, metric, gallery, queries, tmp_path
):
    names = [f"item/{n}" for n in range(1990)]
    built = GalleryIndex.build(gallery[:1990], metric, mode=mode, item_names=names)
    built.remove([0, 7])
    built.save(tmp_path / "shop.index")

    opened = open_index(tmp_path / "shop.index")

    assert opened.settings == built.settings
    before, after = built.search(queries, 5), opened.search(queries, 5)
    np.testing.assert_array_equal(after.ids, before.ids)
    np.testing.assert_array_equal(after.scores, before.scores)
    assert opened.names_of([1989]) == ["item/1989"]
    new_ids = opened.add(gallery[1990:], item_names=[f"new/{n}" for n in range(10)])
    opened.compact()
    opened.save(tmp_path / "shop.index")
    again = open_index(tmp_path / "shop.index")
    assert not np.isin(again.search(queries, 50).ids, [0, 7]).any()
    assert np.isin(new_ids, again.ids).all()
    np.testing.assert_array_equal(again.rows[-10:], gallery[1990:])


def test_what_is_added_is_found_at_once(mode, gallery):
    index = GalleryIndex.build(gallery[:1000], "l2", mode=mode)
    index.search(gallery[:1], 1)

    ids = index.add(gallery[1000:])

    assert (
        share_found(index.search(gallery[1000:], 1), topk(gallery[1000:], gallery, 1, "l2")) > 0.9
    )
    assert ids.tolist() == list(range(1000, 2000))


def test_shards_are_searched_as_one(mode, gallery, queries, tmp_path):
    settings = IndexSettings(metric="l2", mode=mode)
    ShardedIndex.build(tmp_path / "shop", gallery, settings, rows_per_shard=700)

    found = open_index(tmp_path / "shop").search(queries, 10)

    assert share_found(found, topk(queries, gallery, 10, "l2")) > 0.9


@pytest.mark.parametrize("metric", METRICS)
def test_a_filter_that_lets_few_through_and_a_large_k_are_answered_exactly(
    mode, metric, gallery, queries
):
    index = GalleryIndex.build(gallery, metric, mode=mode)
    few = [3, 8, 1999]

    found, everything = index.search(queries, 5, allow=few), index.search(queries, 2001)

    exact = topk(queries, gallery[few], 5, metric)
    np.testing.assert_array_equal(found.ids, np.append(few, -1)[exact.ids])
    worst = np.inf if metric == "l2" else -np.inf
    assert (found.scores[:, 3:] == worst).all()
    expected = topk(queries, gallery, 2000, metric)
    np.testing.assert_array_equal(everything.ids[:, :2000], expected.ids)
    assert (everything.ids[:, 2000] == -1).all()


@pytest.mark.parametrize("metric", METRICS)
def test_rows_too_long_for_float32_are_refused_and_such_queries_answered_exactly(
    mode, metric, gallery, queries
):
    if metric != "cosine":
        with pytest.raises(BadArgument, match="scale them, or leave the engine"):
            GalleryIndex.build(gallery * np.float32(1e30), metric, mode=mode)
    rows, long = gallery[:200] * np.float32(1e16), queries * np.float32(1e25)

    found = GalleryIndex.build(rows, metric, mode=mode).search(long, 10)

    exact = topk(long, rows, 10, metric)
    assert share_found(found, exact) == 1 if metric != "cosine" else share_found(found, exact) > 0.9


@pytest.mark.parametrize("seed", range(20))
def test_as_many_as_there_are_are_found_each_once_and_only_if_allowed(mode, seed):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((rng.choice([1, 2, 40, 90]), rng.choice([1, 3, 17])), "f4")
    rows *= np.float32(10.0) ** rng.integers(-38, 15, (len(rows), 1)).astype("f4")
    rows[rng.random(len(rows)) < 0.2] = rows[0]
    metric, k = METRICS[seed % 3], int(rng.choice([1, 3, 50]))
    allow = rng.random(len(rows)) < rng.random()

    found = GalleryIndex.build(rows, metric, mode=mode).search(rows[:5], k, allow=allow)

    for ids in found.ids:
        ids = ids[ids >= 0]
        assert len(set(ids)) == len(ids) == min(k, allow.sum())
        assert allow[ids].all()


def test_equal_rows_stand_in_order_and_what_is_not_finite_finds_nothing(mode):
    rows = np.ones((6, 3), np.float32)
    queries = np.stack([rows[0], np.full(3, np.nan, np.float32), np.full(3, np.inf, np.float32)])

    found = GalleryIndex.build(rows, mode=mode).search(queries, 8)

    assert found.ids.tolist() == [[0, 1, 2, 3, 4, 5, -1, -1], [-1] * 8, [-1] * 8]


def test_an_empty_gallery_finds_nothing_and_grows(mode, tmp_path):
    empty = GalleryIndex.build(np.empty((0, 4), np.float32), mode=mode)
    empty.save(tmp_path / "empty.index")
    opened = open_index(tmp_path / "empty.index")
    assert opened.search(np.ones((2, 4), np.float32), 3).ids.tolist() == [[-1] * 3] * 2

    opened.add(np.eye(4, dtype=np.float32))

    assert opened.search(np.eye(4, dtype=np.float32), 1).ids.ravel().tolist() == [0, 1, 2, 3]


def test_several_threads_may_be_the_first_to_search(mode, gallery, queries):
    index = GalleryIndex.build(gallery, "l2", mode=mode)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: index.search(queries, 3).ids, range(4)))

    assert all((ids == found[0]).all() for ids in found)


def test_the_threads_of_one_search_are_not_those_of_the_process(mode, gallery, queries):
    index, before = GalleryIndex.build(gallery, mode=mode), faiss.omp_get_max_threads()

    found = index.search(queries, 3, num_threads=before + 1)

    np.testing.assert_array_equal(found.ids, index.search(queries, 3).ids)
    assert faiss.omp_get_max_threads() == before
    with pytest.raises(BadArgument, match="at least 1, got 0"):
        index.search(queries, 3, num_threads=0)


def test_more_effort_finds_no_less(mode, rng):
    rows = rng.standard_normal((1000, 32), dtype=np.float32)
    exact = topk(rows[:50], rows, 10, "l2")

    def share(effort):
        settings = IndexSettings(metric="l2", mode=mode, effort=effort)
        return share_found(GalleryIndex.build_with(settings, rows).search(rows[:50], 10), exact)

    assert share(1) < share(1000) == 1


def test_numbers_that_make_no_lists_or_graph_are_refused_before_faiss_reads_them(mode, gallery):
    """As a file holds them that somebody forged, with checksums that are right."""
    settings = IndexSettings(metric="l2", mode=mode)
    sound = FaissRows.encode_all(settings, gallery).arrays()
    number = len(gallery)
    forged = {
        "ivf": [("codes.list_numbers", number), ("codes.list_numbers", -1)],
        "hnsw": [
            ("codes.neighbors", number),
            ("codes.neighbors", -2),
            ("codes.levels", 0),
            ("codes.levels", 100),
            ("codes.levels", 3),
            ("codes.entry_point", -1),
            ("codes.entry_point", number),
        ],
    }
    for name, value in forged[mode]:
        arrays = {key: array.copy() for key, array in sound.items()}
        arrays[name][0] = value
        rows = FaissRows.from_arrays(settings, arrays, number, 24)
        with pytest.raises(BadIndexFile, match="cmpc index recode"):
            rows.search(gallery[:1], 1, allow=None, num_threads=None)
        assert rows.recoded().search(gallery[:1], 1, allow=None, num_threads=None).ids[0, 0] == 0
    for name in ["rows", "codes.list_numbers" if mode == "ivf" else "codes.levels"]:
        with pytest.raises(BadArgument, match="its arrays must be"):
            FaissRows.from_arrays(settings, sound | {name: sound[name][:-1]}, number, 24)


def test_a_link_to_a_row_that_is_not_in_its_layer_is_refused(mode, gallery):
    if mode == "ivf":
        pytest.skip("lists have no layers")
    settings = IndexSettings(metric="l2", mode=mode)
    arrays = {k: a.copy() for k, a in FaissRows.encode_all(settings, gallery).arrays().items()}
    levels = arrays["codes.levels"]
    higher, lowest = np.flatnonzero(levels > 1)[0], np.flatnonzero(levels == 1)[0]
    first_link = np.cumsum(64 + 32 * (levels - 1))[higher] - 32 * (levels[higher] - 1)
    arrays["codes.neighbors"][first_link] = lowest

    with pytest.raises(BadIndexFile, match="graph"):
        FaissRows.from_arrays(settings, arrays, 2000, 24).search(
            gallery[:1], 1, allow=None, num_threads=None
        )


def test_without_faiss_it_says_what_to_install(mode, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)

    with pytest.raises(MissingLibrary, match=r"pip install 'cmpc\[faiss\]'"):
        GalleryIndex.build(np.ones((1, 2), np.float32), mode=mode)


def test_how_hard_it_tries_must_be_a_number_and_is_for_faiss_alone(mode):
    assert IndexSettings(mode=mode).effort in (16, 64)
    for effort in (0, "much", True):
        with pytest.raises(BadArgument, match="at least 1"):
            IndexSettings(mode=mode, effort=effort)
    with pytest.raises(BadArgument, match="left out in codes mode"):
        IndexSettings(mode="codes", effort=3)
    assert "effort" not in IndexSettings(mode="exact").to_json()
