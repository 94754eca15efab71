"""What a reader of a front is told: its table, its document, and the picture of it."""

from pathlib import Path

import pytest

from cmpc import pictures
from cmpc.reports.front import front_document, front_image, front_table
from cmpc_search.runs import RunFolder
from cmpc_search.runs.finals import Standing
from cmpc_search.study.front import pareto_front
from cmpc_search.study.records import Accuracy, Candidate, CandidateScore, TrainedScore
from cmpc_search.study.settings import Budget


def standing(*candidates, front=None, together=False):
    return Standing(
        candidates=candidates,
        contenders=candidates,
        front=candidates if front is None else front,
        is_measured_together=together,
    )


def test_each_number_of_a_front_stands_in_its_column():
    own, across = (
        Accuracy(top1=top1, top10=1, mean_average_precision=0.9) for top1 in (0.25, 0.125)
    )
    score = CandidateScore(
        architecture="k3w1.0",
        homogeneous=own,
        heterogeneous=across,
        reward_name="r",
        reward=0.5,
        macs=1_500_000,
        latency={"value": 0.75, "unit": "ms", "source": "predicted"},
    )

    trained = TrainedScore(
        num_steps=150,
        homogeneous=own,
        heterogeneous=Accuracy(top1=0.375, top10=1, mean_average_precision=0.9),
        cosine=0.5,
        reward=0.75,
    )

    table = front_table(standing(Candidate(number=7, score=score, trained=trained)))

    cells = {str(column.header): str(next(iter(column.cells))) for column in table.columns}
    assert cells == {
        "trial": "7",
        "supernet reward": "0.5",
        "trained reward": "0.75",
        "supernet M(q,q) top-1": "0.25",
        "supernet M(q,g) top-1": "0.125",
        "trained M(q,g) top-1": "0.375",
        "MMAC counted": "1.5",
        "latency ms": "0.75",
        "source": "predicted",
        "architecture": "k3w1.0",
    }


def test_the_document_of_a_front_names_each_trial_by_its_number_in_the_order_of_the_front():
    front = [
        Candidate(
            number=number, score=CandidateScore(architecture=key, reward_name="r", reward=reward)
        )
        for number, key, reward in ((7, "a", 0.25), (3, "b", 0.5))
    ]

    document = front_document(RunFolder(Path("runs/emoji")), standing(*front))

    assert [
        (one["number"], one["score"]["architecture"], one["score"]["reward"])
        for one in document["front"]
    ] == [(7, "a", 0.25), (3, "b", 0.5)]


@pytest.mark.parametrize(
    ("cost", "costs", "unit", "budget"),
    [("macs", [2, 3, 5], "MMAC", 4), ("latency", [9, 8, 7], "ms", 10)],
)
def test_a_picture_of_a_front_has_each_candidate_at_its_cost_and_marks_the_front_and_the_pick(
    monkeypatch, cost, costs, unit, budget
):
    accuracy = Accuracy(
        top1=0.5, top10=1, mean_average_precision=0.5, num_queries=24, num_excluded=5
    )
    drawn = {}
    monkeypatch.setattr(
        pictures,
        "front_picture",
        lambda points, axis, **words: drawn.update(points=points, axis=axis, **words),
    )
    candidates = [
        Candidate(
            number=number,
            score=CandidateScore(
                architecture="a",
                reward_name="product map",
                reward=reward,
                heterogeneous=accuracy,
                macs=macs * 1_000_000,
                latency={"value": ms, "unit": "ms", "source": "measured"},
            ),
        )
        for number, reward, macs, ms in ((4, 0.2, 2, 9), (6, 0.1, 3, 8), (8, 0.9, 5, 7))
    ]

    limits = Budget(macs=4_000_000, latency_ms=10.0)
    found = standing(*candidates, front=pareto_front(candidates, cost=cost, budget=limits))
    front_image(found, candidates[0], cost=cost, budget=limits)

    points = drawn["points"]
    assert [point.cost for point in points] == costs
    assert [point.reward for point in points] == [0.2, 0.1, 0.9]
    # Trial 8 is over the budget in MACs; of the others, 4 is better, and 6 faster with more MACs.
    assert [point.is_pick for point in points] == [True, False, False]
    assert [point.is_on_front for point in points] == [True, cost == "latency", False]
    assert (drawn["axis"].unit, drawn["axis"].budget) == (unit, budget)
    assert drawn["reward_name"] == "reward over 24 validation queries (product map)"
    assert drawn["title"].startswith("3 candidates, ")


def test_a_front_says_over_how_many_queries_its_accuracies_are():
    accuracy = Accuracy(
        top1=0.5, top10=1, mean_average_precision=0.5, num_queries=100, num_excluded=3
    )
    score = CandidateScore(
        architecture="k3w1.0", heterogeneous=accuracy, reward_name="product map", reward=0.5
    )

    title = str(front_table(standing(Candidate(number=0, score=score))).title)

    assert "reward: product map; " in title  # the columns beside it may show other accuracies
    assert "100 validation queries: a share is known to within 0.10" in title
    assert "3 other queries have nothing to find" in title
