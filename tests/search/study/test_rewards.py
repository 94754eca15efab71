"""Each reward keeps the promise of its family, and is the one of the paper that it is called."""

from dataclasses import replace

import pytest

from cmpc_search.study.records import Accuracy
from cmpc_search.study.rewards.base import RewardFacts
from cmpc_search.study.rewards.catalogue import REWARDS
from cmpc_search.testing.rewards import RewardContract


class TestRewards(RewardContract):
    @pytest.fixture(params=REWARDS)
    def reward(self, request):
        return REWARDS.load(request.param)


FACTS = RewardFacts(
    homogeneous=Accuracy(
        top1=0.5, top10=1.0, mean_average_precision=0.25, mean_reciprocal_rank=0.625
    ),
    heterogeneous=Accuracy(
        top1=0.75, top10=1.0, mean_average_precision=0.125, mean_reciprocal_rank=0.875
    ),
    cosine=0.0625,
    metric="map",
)


@pytest.mark.parametrize(
    ("name", "metric", "expected"),
    [
        ("homogeneous", "top1", 0.5),
        ("heterogeneous", "top1", 0.75),
        ("product", "top1", 0.375),
        ("homogeneous", "map", 0.25),
        ("heterogeneous", "map", 0.125),
        ("product", "map", 0.03125),
        ("heterogeneous", "mrr", 0.875),
        ("mrr", "map", 0.875),
        ("cosine", "map", 0.0625),
        ("mrr+cosine", "map", 0.9375),
    ],
)
def test_a_reward_is_made_of_what_its_name_says(name, metric, expected):
    assert REWARDS.load(name)(replace(FACTS, metric=metric)) == expected
