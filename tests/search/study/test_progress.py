"""What a running study tells of each candidate."""

import pytest

from cmpc_search.study.progress import TrialProgress
from cmpc_search.study.records import Candidate, CandidateScore


@pytest.mark.parametrize(
    ("latency", "said"),
    [
        ({"value": 2.5, "unit": "ms", "source": "predicted"}, "0.250 at 2.500 ms predicted"),
        (None, "0.250 at 0.004 MMAC"),
    ],
)
def test_each_candidate_is_told_with_its_own_reward_and_cost_and_the_best_so_far(latency, said):
    score = CandidateScore(
        architecture="a", reward_name="product map", reward=0.25, macs=4000, latency=latency
    )
    trial = TrialProgress(
        finished=3,
        total=9,
        candidate=Candidate(number=7, score=score),
        best_reward=0.75,
        over_budget=5,
    )

    assert trial.describe() == f"product map {said}, best 0.750, 5 drawn over the budget"
