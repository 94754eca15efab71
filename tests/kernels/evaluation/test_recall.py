"""What an index is said to find of the exact answer."""

import numpy as np
import pytest

from cmpc_kernels import BadArgument, GalleryIndex, IndexSettings, measure_recall, reference

METRICS = ["cosine", "ip", "l2"]


@pytest.fixture
def embeddings(rng):
    return rng.standard_normal((4, 7), dtype=np.float32)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("storage", "least"), [("int8", 0.95), ("binary", 0.3)])
def test_fast_mode_says_how_much_it_finds(metric, storage, least, rng):
    gallery = rng.standard_normal((2000, 64), dtype=np.float32)
    queries = gallery[:50] + 0.1 * rng.standard_normal((50, 64), dtype=np.float32)
    index = GalleryIndex.build(gallery, metric, mode="codes", storage=storage)

    measured = measure_recall(index, queries, 10, embeddings=gallery)

    expected = reference.topk(queries, gallery, 10, metric).ids
    found = index.search(queries, 10).ids
    shared = [np.isin(expected[n], found[n]).mean() for n in range(50)]
    assert measured.recall == pytest.approx(np.mean(shared))
    assert measured.recall >= least
    assert (measured.k, measured.num_queries) == (10, 50)
    assert index.rows is None


def test_exact_mode_recalls_everything_and_needs_no_embeddings_to_say_so(rng):
    gallery = rng.standard_normal((200, 9), dtype=np.float32)
    index = GalleryIndex.build(gallery, "l2")
    index.remove([3, 7])

    assert measure_recall(index, gallery[:20], 5).recall == 1


def test_recall_is_over_what_there_is_to_find_and_who_can_find_it(embeddings):
    index = GalleryIndex.build(embeddings)
    queries = np.concatenate([embeddings, np.full((1, 7), np.nan, np.float32)])

    measured = measure_recall(index, queries, 9)  # of four items; the last query finds nothing

    assert (measured.recall, measured.k, measured.num_queries) == (1, 9, 4)


def test_the_recall_of_codes_alone_needs_the_embeddings(embeddings):
    index = GalleryIndex.build(embeddings, mode="codes")

    with pytest.raises(BadArgument, match="give those that it was built from"):
        measure_recall(index, embeddings, 1)
    with pytest.raises(BadArgument, match="one row for each of the 4 items of the index, got 3"):
        measure_recall(index, embeddings, 1, embeddings=embeddings[:3])


def test_scores_that_differ_beyond_float32_are_told_apart_across_pieces(monkeypatch):
    monkeypatch.setattr("cmpc_kernels.gallery.chunks.CHUNK_VALUES", 32)  # a block of rows each
    gallery = np.stack([np.full(64, 1e4), np.arange(64) * 1e-3], axis=1).astype(np.float32)
    index = GalleryIndex.build(gallery, "ip")  # scores of 1e8 and a few thousandths

    assert measure_recall(index, np.array([[1e4, 1]], np.float32), 3).recall == 1


def test_the_recall_of_an_index_of_faiss_is_measured_alike(rng):
    pytest.importorskip("faiss")
    gallery = rng.standard_normal((2000, 16), dtype=np.float32)

    few, all_lists = (
        measure_recall(
            GalleryIndex.build_with(IndexSettings(metric="l2", mode="ivf", effort=effort), gallery),
            gallery[:50],
            10,
        ).recall
        for effort in (4, 2000)
    )

    assert 0 < few < all_lists == 1
