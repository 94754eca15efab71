"""Metrics on cases small enough to work out on paper, then against the float64 definition."""

import numpy as np
import pytest

from cmpc_kernels import (
    BadArgument,
    RetrievalScores,
    reference,
    retrieval_scores,
    tar_at_far,
    tpir_at_fpir,
)


def at_angles(*degrees):
    """Unit vectors of the plane: their cosines are read off the differences of their angles."""
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_two_queries_worked_out_by_hand():
    gallery, gallery_labels = at_angles(0, 10, 20, 90), [1, 2, 1, 2]

    scores = retrieval_scores(at_angles(0, 0), gallery, [1, 2], gallery_labels)

    # Label 1 stands at ranks 1 and 3: (1/1 + 2/3) / 2. Label 2 at ranks 2 and 4: (1/2 + 2/4) / 2.
    assert scores == RetrievalScores(
        top1=0.5,
        top10=1.0,
        mean_average_precision=pytest.approx((5 / 6 + 1 / 2) / 2),
        num_queries=2,
        num_gallery=4,
        num_excluded=0,
    )


def test_top10_ends_after_the_tenth():
    gallery = at_angles(*range(11))

    scores = retrieval_scores(at_angles(0, 0), gallery, [9, 10], range(11))

    assert (scores.top1, scores.top10) == (0, 0.5)
    assert scores.mean_average_precision == pytest.approx((1 / 10 + 1 / 11) / 2)


def test_equal_scores_rank_the_lower_id_first():
    gallery = at_angles(5, 5, 5)

    assert retrieval_scores(at_angles(0), gallery, [7], [7, 8, 8]).top1 == 1
    assert retrieval_scores(at_angles(0), gallery, [7], [8, 7, 8]).mean_average_precision == 1 / 2
    assert retrieval_scores(at_angles(0), gallery, [7], [8, 8, 7]).mean_average_precision == 1 / 3


def test_a_query_without_a_right_item_is_left_out_and_counted():
    scores = retrieval_scores(at_angles(0, 1, 2), at_angles(0, 90), [1, 5, 6], [1, 2])

    assert (scores.num_queries, scores.num_excluded, scores.top1) == (1, 2, 1)


@pytest.mark.parametrize("broken", ["query", "item"])
def test_a_nan_embedding_is_never_found(broken):
    queries, gallery = at_angles(0), at_angles(0, 0)
    (queries if broken == "query" else gallery)[0] = np.nan

    scores = retrieval_scores(queries, gallery, [1], [1, 2])

    assert (scores.top1, scores.top10, scores.mean_average_precision) == (0, 0, 0)


@pytest.mark.parametrize("tile_scores", [1, 1500, 1 << 22])
def test_it_meets_its_definition_in_tiles_of_any_size(tile_scores, rng, monkeypatch):
    monkeypatch.setattr("cmpc_kernels.evaluation.score_tiles.TILE_SCORES", tile_scores)
    monkeypatch.setattr("cmpc_kernels.evaluation.ranking.BLOCK_PAIRS", 60)
    monkeypatch.setattr("cmpc_kernels.evaluation.ranking.PIECE_ITEMS", 7)
    queries = rng.integers(-2, 3, (37, 6)).astype(np.float32)  # with ties and zero rows
    gallery = np.repeat(rng.standard_normal((101, 6), dtype=np.float32), 2, axis=0)
    gallery[7], queries[3] = 0, 0
    query_labels, gallery_labels = rng.integers(0, 12, 37), rng.integers(0, 9, 202)

    scores = retrieval_scores(queries, gallery, query_labels, gallery_labels)

    expected = reference.retrieval_scores(queries, gallery, query_labels, gallery_labels)
    assert scores.num_excluded == expected.num_excluded > 0
    assert scores.top1 == expected.top1
    assert scores.top10 == expected.top10
    assert scores.mean_average_precision == pytest.approx(expected.mean_average_precision, abs=1e-6)


def test_true_accepts_are_read_where_few_impostors_pass():
    scores = [0.9, 0.8, 0.6, 0.3, 0.7, 0.5, 0.2, 0.1]
    is_genuine = [True] * 4 + [False] * 4

    assert tar_at_far(scores, is_genuine, 0) == 2 / 4  # above the best impostor, 0.7
    assert tar_at_far(scores, is_genuine, 0.25) == 3 / 4  # 0.7 may pass, 0.5 may not
    assert tar_at_far(scores, is_genuine, 0.49) == 3 / 4  # two of four would be too many
    assert tar_at_far(scores, is_genuine, 1) == 1


def test_a_genuine_pair_that_ties_with_a_refused_impostor_is_refused():
    assert tar_at_far([0.7, 0.7], [True, False], 0) == 0


def test_open_set_search_needs_the_right_item_and_a_score_above_strangers():
    gallery, gallery_labels = at_angles(0, 90), [1, 2]
    queries, query_labels = at_angles(1, 70, 85, 20, 30), [1, 2, 1, 8, 9]

    def tpir(share):
        return tpir_at_fpir(
            queries, gallery, query_labels, gallery_labels, false_positive_rate=share
        )

    # Strangers score cos 20 and cos 30. Query 0 scores cos 1, query 1 cos 20, query 2 is wrong.
    assert tpir(0) == pytest.approx(1 / 3)
    assert tpir(0.5) == pytest.approx(2 / 3)
    assert tpir(1) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: retrieval_scores(g, g, [1, 1], [2, 2]), "share its label with a gallery item"),
        (
            lambda g: retrieval_scores(g, g, [1], [2, 2]),
            "query_labels must hold one label for each",
        ),
        (lambda g: retrieval_scores(g, g, [1, 2], ["a", "b"]), "must be integers, got <U1"),
        (lambda g: tar_at_far([1, 2], [True, True], 0.1), "got 2 genuine and 0 impostor pairs"),
        (lambda g: tar_at_far([1, 2], [True, False], 2), "`0 <= false_accept_rate <= 1` must hold"),
        (
            lambda g: tpir_at_fpir(g, g, [1, 2], [1, 2], false_positive_rate=0.1),
            "both with and without",
        ),
    ],
)
def test_a_bad_argument_is_told_what_must_hold(call, message):
    with pytest.raises(BadArgument, match=message):
        call(at_angles(0, 1))
