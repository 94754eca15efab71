"""Ranks and thresholds over all pairs: by hand, then against a float64 walk over every pair."""

import tracemalloc

import numpy as np
import pytest

from cmpc_kernels import (
    BadArgument,
    IgnoredPairs,
    rank_right_items,
    retrieval_scores,
    tar_at_far,
    verification_rates,
)


def at_angles(*degrees):
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


@pytest.fixture
def crowd(rng):
    """Queries and items of eight identities before four cameras; no two scores are equal."""
    labels = rng.integers(0, 8, 340)
    rows = rng.standard_normal((8, 16))[labels] + 1.5 * rng.standard_normal((340, 16))
    return rows.astype(np.float32), labels, rng.integers(0, 4, 340)


def cosines(queries, gallery):
    queries, gallery = queries.astype(np.float64), gallery.astype(np.float64)
    queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    return queries @ (gallery / np.linalg.norm(gallery, axis=1, keepdims=True)).T


def test_each_query_reports_its_first_hit_and_its_average_precision():
    gallery, gallery_labels = at_angles(0, 10, 20, 30, 40), [5, 1, 2, 1, 2]

    ranks = rank_right_items(at_angles(0, 0, 0), gallery, [2, 9, 1], gallery_labels)

    assert ranks.query_ids.tolist() == [0, 2]
    assert ranks.best_ranks.tolist() == [3, 2]
    # Label 2 stands at ranks 3 and 5, label 1 at ranks 2 and 4.
    assert ranks.average_precisions == pytest.approx([(1 / 3 + 2 / 5) / 2, (1 / 2 + 2 / 4) / 2])
    assert ranks.cmc([1, 2, 3]) == (0, 0.5, 1)
    assert (ranks.num_gallery, ranks.num_excluded) == (5, 1)


def test_an_image_does_not_find_itself_where_it_is_in_the_gallery():
    rows, labels = at_angles(0, 1, 10), [1, 2, 1]

    scores = retrieval_scores(rows, rows, labels, labels, ignored=IgnoredPairs(own_items=range(3)))

    # Query 0 then ranks [1, 2]: right at rank 2. Query 2 ranks [1, 0]: right at rank 2.
    assert (scores.top1, scores.mean_average_precision) == (0, 1 / 2)
    assert scores.num_excluded == 1  # label 2 has no other image


def test_right_items_before_the_query_s_own_camera_are_junk_and_wrong_ones_are_not():
    gallery, labels, cameras = at_angles(0, 1, 2, 3), [1, 8, 1, 8], [0, 0, 1, 1]
    ignored = IgnoredPairs(query_cameras=[0], gallery_cameras=cameras)

    ranks = rank_right_items(at_angles(0), gallery, [1], labels, ignored=ignored)

    # Item 0 is dropped; item 1, a stranger by the same camera, still stands before item 2.
    assert (ranks.best_ranks.tolist(), ranks.average_precisions.tolist()) == ([2], [1 / 2])


def test_it_is_the_protocol_of_market_1501(crowd):
    rows, labels, cameras = crowd
    queries, gallery = slice(0, 60), slice(60, None)

    ranks = rank_right_items(
        rows[queries],
        rows[gallery],
        labels[queries],
        labels[gallery],
        ignored=IgnoredPairs(query_cameras=cameras[queries], gallery_cameras=cameras[gallery]),
    )

    score_QG = cosines(rows[queries], rows[gallery])
    for n, query in enumerate(ranks.query_ids):
        order = np.argsort(-score_QG[query], kind="stable")
        is_junk = (labels[gallery] == labels[query]) & (cameras[gallery] == cameras[query])
        hits = np.flatnonzero((labels[gallery] == labels[query])[order[~is_junk[order]]]) + 1
        assert ranks.best_ranks[n] == hits[0]
        assert ranks.average_precisions[n] == pytest.approx(np.mean(range(1, len(hits) + 1) / hits))


@pytest.mark.parametrize("tile_scores", [2_000, 1 << 20])
def test_the_rate_of_all_pairs_is_that_of_their_sorted_scores(tile_scores, crowd, monkeypatch):
    monkeypatch.setattr("cmpc_kernels.evaluation.score_tiles.TILE_SCORES", tile_scores)
    rows, labels, cameras = crowd
    ignored = IgnoredPairs(own_items=range(340), query_cameras=cameras, gallery_cameras=cameras)
    wanted = [0, 1e-4, 1e-3, 0.1, 0.999, 1]

    rates = verification_rates(
        rows, rows, labels, labels, false_accept_rates=wanted, ignored=ignored
    )

    is_genuine = labels[:, np.newaxis] == labels
    counts = ~np.eye(340, dtype=bool) & ~(is_genuine & (cameras[:, np.newaxis] == cameras))
    scores, is_genuine = cosines(rows, rows)[counts], is_genuine[counts]
    for rate, allowed in zip(rates, wanted, strict=True):
        assert rate.true_accept_rate == tar_at_far(scores, is_genuine, allowed)
        assert rate.false_accept_rate <= allowed
        assert (rate.num_genuine, rate.num_impostors) == (is_genuine.sum(), (~is_genuine).sum())
    impostors = np.sort(scores[~is_genuine])[::-1]
    assert rates[0].threshold == pytest.approx(impostors[0], abs=1e-6)
    assert rates[3].threshold == pytest.approx(impostors[len(impostors) // 10], abs=1e-6)
    assert rates[-1].threshold == -np.inf


def test_thresholds_may_be_negative_zero_or_shared():
    queries, gallery = at_angles(0), np.array([[1, 0], [0, 1], [-0.0, -1], [-1, 0]], np.float32)

    def rate(labels, allowed):
        return verification_rates(queries, gallery, [1], labels, false_accept_rates=[allowed])[0]

    # The scores are 1, 0, -0 and -1; the impostors score 0 and -1.
    assert rate([1, 2, 1, 2], 0).threshold == 0
    assert rate([1, 2, 1, 2], 0).true_accept_rate == 1 / 2  # -0 is not above 0
    assert rate([1, 2, 1, 2], 0.5).threshold == -1
    assert rate([1, 2, 1, 2], 0.5).true_accept_rate == 1


def test_a_pair_without_a_score_is_compared_and_never_accepted():
    gallery = at_angles(0, 0, 90, 90)
    gallery[[1, 3]] = np.nan

    (rate,) = verification_rates(at_angles(0), gallery, [1], [1, 1, 2, 2], false_accept_rates=[1])

    assert (rate.true_accept_rate, rate.false_accept_rate) == (1 / 2, 1 / 2)


def test_memory_does_not_grow_with_the_number_of_pairs(rng):
    queries = rng.standard_normal((1_000, 8), dtype=np.float32)
    gallery = rng.standard_normal((60_000, 8), dtype=np.float32)  # 240 MB of scores
    labels = rng.integers(0, 500, 60_000)
    tracemalloc.start()

    rank_right_items(queries, gallery, labels[:1000], labels)
    verification_rates(queries, gallery, labels[:1000], labels, false_accept_rates=[1e-3])

    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 60e6


@pytest.mark.parametrize(
    ("ignored", "message"),
    [
        (IgnoredPairs(own_items=[2]), "gallery rows from 0 to 1, or -1 for none"),
        (IgnoredPairs(own_items=[0, 1]), "own_items must hold one label for each of the 1 rows"),
        (IgnoredPairs(query_cameras=[0]), "must come together"),
    ],
)
def test_pairs_that_cannot_be_ignored_are_refused(ignored, message):
    with pytest.raises(BadArgument, match=message):
        rank_right_items(at_angles(0), at_angles(0, 1), [1], [1, 1], ignored=ignored)
