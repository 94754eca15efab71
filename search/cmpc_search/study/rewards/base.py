"""What a search maximises: a number made of what is known of one candidate."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cmpc_search.study.records import Accuracy

__all__ = ["Metric", "Reward", "RewardFacts"]

Metric = Literal["top1", "map"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RewardFacts:
    """What a reward may be made of.

    Attributes:
        homogeneous: M(q, q), the candidate in a gallery of its own.
        heterogeneous: M(q, g), the candidate in the gallery network's.
        metric: Which accuracy counts.
    """

    homogeneous: Accuracy
    heterogeneous: Accuracy
    metric: Metric

    @property
    def own(self) -> float:
        """M(q, q) as the one number that counts."""
        return self._value(self.homogeneous)

    @property
    def across(self) -> float:
        """M(q, g) as the one number that counts."""
        return self._value(self.heterogeneous)

    def _value(self, accuracy: Accuracy) -> float:
        return accuracy.top1 if self.metric == "top1" else accuracy.mean_average_precision


Reward = Callable[[RewardFacts], float]
"""Finite, and never lower where an accuracy is higher; see `cmpc_search.testing.rewards`."""
