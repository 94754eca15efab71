"""The rule is judged by what the queries can tell, seed by seed and all together."""

import numpy as np
import pytest

from cmpc_kernels import QueryRanks
from cmpc_search.evaluation.base import ProtocolResult
from cmpc_search.evaluation.judgement import Flips, judge
from cmpc_search.evaluation.outcomes import SeedResult, write_outcomes

NUM_QUERIES = 100


def result(num_first, num_queries=NUM_QUERIES):
    """The first ``num_first`` queries find their item at once, the next five at rank 10."""
    best = np.full(num_queries, 11.0)
    best[:num_first] = 1
    best[num_first : num_first + 5] = 10
    ranks = QueryRanks(
        query_ids=np.arange(num_queries),
        best_ranks=best,
        average_precisions=0.5 / best,  # half of its items are found, the other never
        num_gallery=num_queries,
        num_excluded=0,
    )
    return ProtocolResult(metrics={}, ranks=ranks)


def seed_result(own, across, paragon=80, seed=0, num_queries=NUM_QUERIES):
    return SeedResult(
        seed=seed,
        paragon=result(paragon, num_queries),
        homogeneous=result(own, num_queries),
        heterogeneous=result(across, num_queries),
    )


@pytest.mark.parametrize(
    ("own", "across", "rule"),
    [
        (40, 60, "holds"),
        (60, 40, "does not hold"),
        (50, 51, "can't be told"),
        (50, 50, "can't be told"),
    ],
)
def test_the_rule_is_told_only_where_the_interval_of_the_difference_lies_on_one_side(
    own, across, rule
):
    judgement = judge([seed_result(own, across)])

    assert judgement.rule == rule
    assert judgement.advantage.value == pytest.approx((across - own) / NUM_QUERIES)


def test_a_handful_of_queries_can_not_tell_the_rule():
    judgement = judge([seed_result(0, 12, paragon=12, num_queries=12)])

    assert judgement.advantage.low > 0
    assert judgement.rule == "can't be told"


def test_seeds_that_disagree_are_judged_by_their_mean():
    judgement = judge([seed_result(40, 60, seed=0), seed_result(60, 40, seed=1)])

    assert [one.seed for one in judgement.seeds] == [0, 1]
    assert [one.heterogeneous.top1.value for one in judgement.seeds] == [0.6, 0.4]
    assert judgement.mean.heterogeneous.top1.value == pytest.approx(0.5)
    assert judgement.rule == "can't be told"


def test_the_kept_share_is_the_mean_of_the_seeds_over_the_mean_of_their_paragons():
    judgement = judge([seed_result(10, 60, paragon=80), seed_result(10, 70, paragon=90, seed=1)])

    kept = judgement.kept_share
    assert kept.value == pytest.approx(0.65 / 0.85)
    assert kept.low < kept.value < kept.high


@pytest.mark.parametrize(("own", "across"), [(11, 0), (0, 11), (11, 11), (0, 0)])
def test_what_all_of_a_few_queries_agree_on_is_certain_neither_as_difference_nor_as_ratio(
    own, across
):
    found = judge([seed_result(own, across, paragon=11, num_queries=11)])

    # Clopper and Pearson: 0 of 11 may be 28.5 %; a difference, of -1 to 1, has twice the room.
    width = found.advantage.high - found.advantage.low
    assert width == pytest.approx(2 * 0.2849, abs=1e-4)
    assert -1 <= found.advantage.low <= (across - own) / 11 <= found.advantage.high <= 1
    assert found.kept_share.low <= across / 11 <= found.kept_share.high
    assert found.kept_share.high - found.kept_share.low > 0.28


def test_a_paragon_that_finds_nothing_leaves_no_share_to_keep():
    assert judge([seed_result(10, 20, paragon=0)]).kept_share is None


def test_flips_are_the_queries_that_one_network_answers_and_the_other_does_not():
    lost, won = judge(
        [seed_result(0, 60, paragon=80), seed_result(0, 90, paragon=80, seed=4)]
    ).flips

    assert lost == Flips(seed=0, negative=20, positive=0)
    assert won == Flips(seed=4, negative=0, positive=10)


def test_each_metric_is_the_mean_over_the_queries_with_its_interval_around_it():
    found = judge([seed_result(40, 60)]).seeds[0].heterogeneous

    assert (found.top1.value, found.top10.value) == (0.6, 0.65)
    assert found.mean_average_precision.value == pytest.approx((60 + 5 / 10 + 35 / 11) / 200)
    for estimate in (found.top1, found.top10, found.mean_average_precision):
        assert estimate.low < estimate.value < estimate.high


def test_what_each_query_found_reads_back_without_pickle(tmp_path):
    seeds = [seed_result(40, 60, seed=0), seed_result(41, 61, seed=3)]
    names = [f"picture {number}" for number in range(NUM_QUERIES)]

    write_outcomes(tmp_path / "evaluation.npz", names, seeds)

    with np.load(tmp_path / "evaluation.npz", allow_pickle=False) as file:
        assert file["query_names"].tolist() == names
        assert file["seeds"].tolist() == [0, 3]
        for pair, sums in (("homogeneous", [40, 41]), ("heterogeneous", [60, 61])):
            assert file[f"{pair}_top1"].sum(axis=1).tolist() == sums
            assert file[f"{pair}_top10"].sum(axis=1).tolist() == [one + 5 for one in sums]
            np.testing.assert_allclose(
                file[f"{pair}_average_precision"], 0.5 / file[f"{pair}_best_rank"]
            )
        assert file["paragon_top1"].shape == (2, NUM_QUERIES)
    assert [path.name for path in tmp_path.iterdir()] == ["evaluation.npz"]
