"""What a search maximises: a number made of what is known of one candidate."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cmpc_search.errors import BadArgument
from cmpc_search.study.records import Accuracy

__all__ = ["Metric", "Reward", "RewardFacts", "accuracy_value"]

Metric = Literal["top1", "map", "mrr"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RewardFacts:
    """What a reward may be made of.

    Attributes:
        homogeneous: M(q, q), the candidate in a gallery of its own.
        heterogeneous: M(q, g), the candidate in the gallery network's.
        cosine: The mean over queries of the cosine between the candidate's embedding and the
            gallery network's of the same query.
        metric: Which accuracy counts.
    """

    homogeneous: Accuracy
    heterogeneous: Accuracy
    cosine: float
    metric: Metric

    @property
    def own(self) -> float:
        """M(q, q) as the one number that counts."""
        return accuracy_value(self.homogeneous, self.metric)

    @property
    def across(self) -> float:
        """M(q, g) as the one number that counts."""
        return accuracy_value(self.heterogeneous, self.metric)


def accuracy_value(accuracy: Accuracy, metric: Metric) -> float:
    """Return one metric of an accuracy.

    Raises:
        BadArgument: an older version, which didn't know the metric, judged it.
    """
    found = {
        "top1": accuracy.top1,
        "map": accuracy.mean_average_precision,
        "mrr": accuracy.mean_reciprocal_rank,
    }[metric]
    if found is None:
        raise BadArgument(f"the accuracy must tell its {metric}, got {accuracy}; judge it again")
    return found


Reward = Callable[[RewardFacts], float]
"""Finite, and never lower where an accuracy or the cosine is higher; see
`cmpc_search.testing.rewards`."""
