"""What a search tells its user: at once what can't wait, and at its end all that it knows."""

import pytest

from cmpc.reports.front import search_sentences
from cmpc_search.study.progress import Counts, StudySummary
from cmpc_search.study.records import Candidate, CandidateScore


def summary(
    stopped_early: str | None = None, rewards: tuple[float, ...] = (), **counts: int
) -> StudySummary:
    nothing = {"finished": 0, "feasible": 0, "failed": 0, "reused": 0, "over_budget": 0}
    found = Counts(**{**nothing, "running": 0, **counts})
    candidates = tuple(
        Candidate(
            number=number, score=CandidateScore(architecture="", reward_name="", reward=reward)
        )
        for number, reward in enumerate(rewards)
    )
    return StudySummary(counts=found, candidates=candidates, stopped_early=stopped_early)


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (summary(finished=5, running=2), "other processes are at work on 2 candidates"),
        (summary(reused=3), "3 proposals that were known and 0 over the budget"),
        (summary(over_budget=9), "0 proposals that were known and 9 over the budget"),
        (summary(rewards=(1.0, 1.0)), "all 2 candidates have a reward of 1: it can't tell them"),
        (summary(stopped_early="all 4 architectures are known"), "all 4 architectures are known"),
    ],
)
def test_a_search_says_at_its_end_what_its_front_can_not_show(ended, said):
    assert said in "\n".join(search_sentences(ended, num_on_front=0))


def test_a_search_counts_at_its_end_what_came_of_its_candidates():
    ended = summary(finished=9, feasible=5, failed=3, unknown=1)

    [counted] = search_sentences(ended, num_on_front=2)

    assert counted == (
        "9 candidates: 5 within the budget, 3 failed, 1 of unknown cost; 2 on the front"
    )


@pytest.mark.parametrize("rewards", [(), (1.0,), (1.0, 0.5)])
def test_a_search_without_anything_special_ends_with_one_line(rewards):
    ended = summary(finished=3, feasible=2, failed=1, rewards=rewards)

    assert len(list(search_sentences(ended, num_on_front=1))) == 1
