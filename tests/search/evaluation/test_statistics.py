"""Intervals cover what they say, as far as anybody can check without them."""

import numpy as np
import pytest

from cmpc_search.errors import BadArgument
from cmpc_search.evaluation.statistics import compare, kendall_tau, resample


def test_the_interval_of_a_share_is_the_normal_one():
    num_queries, num_right = 2_000, 600
    outcomes = np.repeat([1.0, 0.0], [num_right, num_queries - num_right])
    share = num_right / num_queries
    half = 1.96 * np.sqrt(share * (1 - share) / num_queries)

    found = resample(outcomes).estimate

    assert found.value == share
    assert found.low == pytest.approx(share - half, abs=0.0015)
    assert found.high == pytest.approx(share + half, abs=0.0015)


def test_nineteen_of_twenty_intervals_hold_the_truth():
    rng, truth, num_trials = np.random.default_rng(1), 0.35, 400
    outcomes_TQ = (rng.random((num_trials, 200)) < truth).astype(float)

    found = [
        resample(outcomes, num_resamples=1_000, seed=trial).estimate
        for trial, outcomes in enumerate(outcomes_TQ)
    ]

    covered = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.92 <= covered <= 0.98  # 0.95, four standard errors either way


def test_a_difference_is_paired_so_what_all_networks_find_hard_cancels_out():
    rng = np.random.default_rng(2)
    one = (rng.random(500) < 0.5).astype(float)
    other = one.copy()
    other[:10] = 1 - other[:10]  # ten queries fare otherwise
    sampled = resample(np.stack([one, other], axis=1))

    difference = (sampled[1] - sampled[0]).estimate

    # The normal interval of a mean whose values are -1, 0 and 1.
    half = 1.96 * np.std(other - one) / np.sqrt(500)
    assert difference.value == pytest.approx(np.mean(other - one))
    assert difference.high - difference.low == pytest.approx(2 * half, rel=0.12)
    width_of_one = sampled[0].estimate.high - sampled[0].estimate.low
    assert difference.high - difference.low < width_of_one / 3


def test_a_share_of_nothing_has_no_upper_end():
    sampled = resample(np.array([[1.0, 1.0], *[[1.0, 0.0]] * 9]))

    ratio = (sampled[0] / sampled[1]).estimate

    assert ratio.value == pytest.approx(10)
    assert np.isinf(ratio.high)


def test_the_mean_of_seeds_is_sure_of_what_every_seed_knows_and_no_more():
    outcomes_Q = np.repeat([1.0, 0.0], 50)
    alike = resample(np.stack([outcomes_Q, outcomes_Q, outcomes_Q], axis=1))
    opposite = resample(np.stack([outcomes_Q, 1 - outcomes_Q], axis=1))

    # Three seeds that fare alike are not three times as many queries.
    mean, one = alike.mean().estimate, alike[0].estimate
    assert (mean.low, mean.high) == pytest.approx((one.low, one.high))
    assert opposite.mean().estimate.low == opposite.mean().estimate.high == 0.5


def test_the_number_of_resamples_held_at_a_time_changes_nothing(monkeypatch):
    outcomes = np.random.default_rng(3).random((7, 2))
    at_once = resample(outcomes, num_resamples=50)
    monkeypatch.setattr("cmpc_search.evaluation.statistics.CHUNK_DRAWS", 15)

    in_parts = resample(outcomes, num_resamples=50)

    np.testing.assert_allclose(in_parts.resampled, at_once.resampled)
    np.testing.assert_allclose(in_parts.value, outcomes.mean(axis=0))


def test_a_mean_over_nothing_is_refused():
    with pytest.raises(BadArgument, match="at least one query"):
        resample(np.empty((0, 3)))


@pytest.mark.parametrize("num_queries", [1, 12, 200])
def test_a_share_of_all_or_none_is_not_certain(num_queries):
    all_right = resample(np.ones(num_queries)).share
    none_right = resample(np.zeros(num_queries)).share

    # At the end of the exact interval, all queries fare so in one of forty samples.
    assert all_right.low**num_queries == pytest.approx(0.025)
    assert none_right.high == pytest.approx(1 - all_right.low)
    assert (all_right.value, all_right.high, none_right.value, none_right.low) == (1, 1, 0, 0)


@pytest.mark.parametrize(
    ("one", "other", "tau"),
    [
        ([12, 2, 1, 12, 2], [1, 4, 7, 1, 0], -0.47140452079103173),  # of the manual of SciPy
        ([1, 2, 3, 4], [1, 2, 3, 4], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([1, 2, 3, 4], [1, 3, 2, 4], 4 / 6),  # five pairs agree, one does not
        ([1, 2, 3, 4], [1, 2, 3, 3], 5 / np.sqrt(6 * 5)),
    ],
)
def test_kendalls_tau_counts_pairs_that_agree_less_those_that_do_not(one, other, tau):
    assert kendall_tau(np.array(one, float), np.array(other, float)).value == pytest.approx(tau)


def test_the_interval_of_a_tau_is_over_networks_drawn_again():
    rng = np.random.default_rng(1)
    one = rng.standard_normal(16)
    other = one + 0.5 * rng.standard_normal(16)
    drawn = [rng.integers(16, size=16) for _ in range(1000)]
    taus = [kendall_tau(one[rows], other[rows], num_resamples=1).value for rows in drawn]

    found = kendall_tau(one, other)

    assert (found.low, found.high) == pytest.approx(np.quantile(taus, [0.025, 0.975]), abs=0.05)


def test_a_score_that_tells_no_network_apart_orders_none():
    assert kendall_tau(np.zeros(4), np.arange(4.0)).value == 0.0


def test_a_comparison_of_one_seed_is_the_paired_bootstrap_over_its_queries():
    rng = np.random.default_rng(2)
    one, other = rng.random((2, 60))
    by_query = resample(np.stack([one, other], axis=1))

    expected, found = (by_query[0] - by_query[1]).difference, compare(one[None], other[None])

    assert found.value == pytest.approx(expected.value)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.01)


def test_seeds_that_disagree_widen_a_comparison_that_their_queries_leave_narrow():
    """Each seed is sure over its queries; that one wins and one loses only the seeds tell."""
    one = np.repeat([[0.1], [0.9]], 500, axis=1)

    found = compare(one, np.full((1, 500), 0.5))

    assert found.value == pytest.approx(0.0)
    assert (found.low, found.high) == pytest.approx((-0.4, 0.4))


@pytest.mark.parametrize("shapes", [((3, 5), (3, 4)), ((3, 5), (2, 5)), ((0, 5), (1, 5))], ids=str)
def test_a_comparison_is_of_the_same_seeds_and_queries(shapes):
    with pytest.raises(BadArgument, match="the same seeds and queries"):
        compare(*map(np.zeros, shapes))


def test_which_is_compared_with_which_decides_the_sign():
    better, worse = np.ones((1, 30)), np.zeros((1, 30))
    assert compare(better, worse).low > 0 > compare(worse, better).high
