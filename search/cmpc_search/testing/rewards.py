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

Values = dict[tuple[int, int], float]


def accuracy(share: float) -> Accuracy:
    """Return one whose metrics differ where they can."""
    return Accuracy(top1=share, top10=min(1.0, 2 * share), mean_average_precision=share**2)


class RewardContract:
    """Subclass it and give a ``reward`` fixture."""

    @pytest.fixture(params=["top1", "map"])
    def values(
        self, reward: Reward, request: pytest.FixtureRequest
    ) -> dict[tuple[int, int], float]:
        """The rewards of all pairs of accuracies, by their places in SHARES."""
        metric: Metric = request.param
        return {
            (own, across): reward(
                RewardFacts(
                    homogeneous=accuracy(SHARES[own]),
                    heterogeneous=accuracy(SHARES[across]),
                    metric=metric,
                )
            )
            for own, across in itertools.product(range(len(SHARES)), repeat=2)
        }

    def test_it_is_a_finite_number(self, values: Values) -> None:
        assert all(math.isfinite(value) for value in values.values())

    def test_it_never_falls_where_an_accuracy_rises(self, values: Values) -> None:
        for (own, across), value in values.items():
            assert value >= values.get((own - 1, across), -math.inf)
            assert value >= values.get((own, across - 1), -math.inf)

    def test_it_tells_the_best_candidate_from_the_worst(self, values: Values) -> None:
        assert values[len(SHARES) - 1, len(SHARES) - 1] > values[0, 0]
