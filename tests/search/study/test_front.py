"""The front is Optuna's, the picks are worked out by hand."""

import random
from dataclasses import replace

import optuna
import pytest

from cmpc_search.errors import BadArgument, BudgetNotMet, NothingScored
from cmpc_search.study.front import choose_finalists, pareto_front, pick
from cmpc_search.study.records import Accuracy, Candidate, CandidateScore, TrainedScore
from cmpc_search.study.settings import Budget


def candidate(number, reward, latency_ms, *, macs=1_000_000, error=None):
    latency = None if latency_ms is None else {"value": latency_ms, "unit": "ms"}
    score = CandidateScore(
        architecture=f"k3w{number}.0",
        reward_name="r",
        reward=reward,
        macs=macs,
        latency=latency,
        error=error,
    )
    return Candidate(number=number, score=score)


#      reward
#   .9 |               4
#   .8 |       2             (3 costs more than 2 and gives less)
#   .7 |           3
#   .2 |   1
#      +---1---2---3---9-- ms
FOUR = [
    candidate(1, 0.2, 1.0),
    candidate(2, 0.8, 2.0),
    candidate(3, 0.7, 3.0),
    candidate(4, 0.9, 9.0),
    candidate(5, None, None, error="would not compile"),
]


@pytest.mark.parametrize("seed", range(5))
def test_the_front_is_that_of_optuna(seed):
    rng = random.Random(seed)  # few distinct values, so that ties are common
    points = [(rng.randrange(8) / 8, float(rng.randrange(1, 9))) for _ in range(60)]
    study = optuna.create_study(directions=["maximize", "minimize"])
    for point in points:
        study.add_trial(optuna.trial.create_trial(values=point))

    front = pareto_front([candidate(n, *point) for n, point in enumerate(points)], cost="latency")

    assert {each.number for each in front} == {trial.number for trial in study.best_trials}


def test_a_budget_takes_the_front_of_those_within_it():
    front = pareto_front(FOUR, cost="latency", budget=Budget(latency_ms=3.0))
    assert [each.number for each in front] == [1, 2]


@pytest.mark.parametrize(
    ("how", "limit_ms", "number"),
    [
        ("best", None, 4),
        ("best", 8.9, 2),
        ("fastest", None, 1),
        ("knee", None, 2),
        ("knee", 1.5, 1),
        ("3", None, 3),
        ("88%", None, 2),  # 0.88 x 0.9 is 0.792
        ("89%", None, 4),
        ("22.2%", None, 1),
        ("22.3%", None, 2),
        ("100%", None, 4),
        ("25%", 3.0, 1),  # of the best within the budget, 0.8
    ],
)
def test_each_pick_is_the_one_worked_out_by_hand(how, limit_ms, number):
    picked = pick(FOUR, how, cost="latency", budget=Budget(latency_ms=limit_ms))
    assert picked.number == number


def trained(one, reward):
    accuracy = Accuracy(top1=reward, top10=1.0, mean_average_precision=reward)
    score = TrainedScore(
        num_steps=9, homogeneous=accuracy, heterogeneous=accuracy, cosine=0.5, reward=reward
    )
    return replace(one, trained=score)


@pytest.mark.parametrize(
    ("how", "number"), [("best", 2), ("fastest", 2), ("97%", 2), ("50%", 2), ("1", 1)]
)
def test_a_pick_is_one_of_the_finalists_by_what_their_own_training_gave(how, number):
    """Supernet weights had 3 below 2 and 4; trained, 2 is better than both at the least cost."""
    finalists = [FOUR[0], *map(trained, FOUR[1:4], (0.6, 0.3, 0.5))]

    assert pick(finalists, how, cost="latency").number == number


def test_where_no_finalist_is_within_the_budget_the_others_are_picked_from():
    candidates = [*FOUR[:3], trained(FOUR[3], 0.99)]

    assert pick(candidates, cost="latency", budget=Budget(latency_ms=3.0)).number == 2


def test_a_share_of_a_negative_reward_is_below_it():
    two = [candidate(1, -0.5, 1.0), candidate(2, -0.1, 2.0)]

    assert pick(two, "90%", cost="latency").number == 2


EIGHT = [candidate(number, number / 10, 2.0**number) for number in range(8)]
BEHIND = [candidate(10 + number, number / 100, 2.0**number + 0.5) for number in range(8)]


@pytest.mark.parametrize(
    ("count", "numbers"),
    [
        (0, []),
        (1, [7]),
        (2, [0, 7]),
        (3, [0, 3, 7]),
        (8, list(range(8))),
        (10, [0, 1, 2, 3, 4, 5, 6, 16, 7, 17]),
    ],
)
def test_finalists_are_spread_over_the_cost_of_the_front_and_then_the_best_behind_it(
    count, numbers
):
    chosen = choose_finalists(EIGHT, [*BEHIND, *EIGHT, FOUR[4]], count, cost="latency")

    assert [one.number for one in chosen] == numbers


def test_a_budget_that_nobody_meets_names_the_nearest():
    with pytest.raises(BudgetNotMet, match=r"within 0.5 ms, and none of 4 does; trial 1 takes 1.0"):
        pick(FOUR, cost="latency", budget=Budget(latency_ms=0.5))
    with pytest.raises(BudgetNotMet, match=r"within 2 ms; trial 4 takes 9\.000 ms"):
        pick(FOUR, "4", cost="latency", budget=Budget(latency_ms=2))


def test_of_two_limits_the_one_that_is_exceeded_most_says_who_is_nearest():
    candidates = [
        candidate(1, 0.5, 2.2, macs=4_000_000),  # over by 10 % and 300 %
        candidate(2, 0.5, 3.0, macs=1_500_000),  # over by 50 % twice
    ]

    with pytest.raises(
        BudgetNotMet, match=r"within 2 ms and 1 MMACs, .* trial 2 takes 3\.000 ms and 1\.5 MMACs"
    ):
        pick(candidates, cost="latency", budget=Budget(latency_ms=2.0, macs=1_000_000))


def test_who_is_nearest_is_told_by_numbers_that_exceed_the_limit_and_none_that_nobody_knows():
    candidates = [candidate(1, 0.5, None, macs=1_977_000)]

    with pytest.raises(BudgetNotMet, match=r"takes an unknown latency and 1\.977 MMACs"):
        pick(candidates, cost="macs", budget=Budget(macs=1_960_000))


@pytest.mark.parametrize(
    ("budget", "numbers"),
    [
        (Budget(latency_ms=2.0), [1, 2]),  # 2 ms are within 2 ms
        (Budget(macs=3_000_000), [3]),
        (Budget(latency_ms=2.0, macs=5_000_000), [2]),
    ],
)
def test_a_budget_is_met_by_who_stays_within_every_limit(budget, numbers):
    candidates = [
        candidate(1, 0.1, 1.0, macs=9_000_000),
        candidate(2, 0.5, 2.0, macs=5_000_000),
        candidate(3, 0.6, 4.0, macs=2_000_000),
    ]

    front = pareto_front(candidates, cost="latency", budget=budget)

    assert [one.number for one in front] == numbers


def test_a_cost_that_is_not_known_is_not_within_a_budget():
    unknown = candidate(7, 0.9, None)
    assert pareto_front([unknown], cost="macs", budget=Budget(latency_ms=5.0)) == ()


def test_a_run_of_failures_says_what_the_last_one_was():
    with pytest.raises(NothingScored, match="would not compile"):
        pick(FOUR[4:], cost="latency")


@pytest.mark.parametrize("how", ["cheapest", "5", "99", "101%", "-3%", "97"])
def test_an_unknown_pick_lists_the_ways(how):
    with pytest.raises(BadArgument, match="best, fastest, knee, a share such as 97% or"):
        pick(FOUR, how, cost="latency")
