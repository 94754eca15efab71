"""What every reward promises.

class TestMine(RewardContract):
    @pytest.fixture
    def reward(self):
        return mine
"""

import itertools
import math

import pytest

from cmpc_search.study.records import Accuracy
from cmpc_search.study.rewards.base import Metric, Reward, RewardFacts

__all__ = ["RewardContract"]

SHARES = (0.0, 0.25, 0.5, 1.0)

Values = dict[tuple[int, int, int], float]


def accuracy(share: float) -> Accuracy:
    """Return one whose metrics differ where they can."""
    return Accuracy(
        top1=share,
        top10=min(1.0, 2 * share),
        mean_average_precision=share**2,
        mean_reciprocal_rank=(share + share**2) / 2,
    )


class RewardContract:
    """Subclass it and give a ``reward`` fixture."""

    @pytest.fixture(params=["top1", "map", "mrr"])
    def values(self, reward: Reward, request: pytest.FixtureRequest) -> Values:
        """The rewards of all accuracies on either side and cosines, by their places in SHARES."""
        metric: Metric = request.param
        return {
            (own, across, cosine): reward(
                RewardFacts(
                    homogeneous=accuracy(SHARES[own]),
                    heterogeneous=accuracy(SHARES[across]),
                    cosine=SHARES[cosine],
                    metric=metric,
                )
            )
            for own, across, cosine in itertools.product(range(len(SHARES)), repeat=3)
        }

    def test_it_is_a_finite_number(self, values: Values) -> None:
        assert all(math.isfinite(value) for value in values.values())

    def test_it_never_falls_where_an_accuracy_or_the_cosine_rises(self, values: Values) -> None:
        for (own, across, cosine), value in values.items():
            assert value >= values.get((own - 1, across, cosine), -math.inf)
            assert value >= values.get((own, across - 1, cosine), -math.inf)
            assert value >= values.get((own, across, cosine - 1), -math.inf)

    def test_it_tells_the_best_candidate_from_the_worst(self, values: Values) -> None:
        last = len(SHARES) - 1
        assert values[last, last, last] > values[0, 0, 0]
