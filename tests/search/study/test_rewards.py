"""Each reward keeps the promise of its family, and is the one of the paper that it is called."""

import pytest

from cmpc_search.study.records import Accuracy
from cmpc_search.study.rewards.base import RewardFacts
from cmpc_search.study.rewards.catalogue import REWARDS
from cmpc_search.testing.rewards import RewardContract


class TestRewards(RewardContract):
    @pytest.fixture(params=REWARDS)
    def reward(self, request):
        return REWARDS.load(request.param)


@pytest.mark.parametrize(
    ("name", "metric", "expected"),
    [
        ("homogeneous", "top1", 0.5),
        ("heterogeneous", "top1", 0.75),
        ("product", "top1", 0.375),
        ("homogeneous", "map", 0.25),
        ("heterogeneous", "map", 0.125),
        ("product", "map", 0.03125),
    ],
)
def test_a_reward_is_made_of_the_metric_that_counts(name, metric, expected):
    facts = RewardFacts(
        homogeneous=Accuracy(top1=0.5, top10=1.0, mean_average_precision=0.25),
        heterogeneous=Accuracy(top1=0.75, top10=1.0, mean_average_precision=0.125),
        metric=metric,
    )

    assert REWARDS.load(name)(facts) == expected
