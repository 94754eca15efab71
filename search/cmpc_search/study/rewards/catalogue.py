"""The rewards by name; a new one is a new function and a row here. Naming them loads no record."""

from typing import TYPE_CHECKING

from cmpc_base.registry import Registry

if TYPE_CHECKING:
    from cmpc_search.study.rewards.base import Reward

__all__ = ["ACCURACY_REWARDS", "REWARDS"]

ACCURACY_REWARDS: "Registry[Reward]" = Registry(
    "reward",
    {
        "homogeneous": "cmpc_search.study.rewards.accuracies:homogeneous",
        "heterogeneous": "cmpc_search.study.rewards.accuracies:heterogeneous",
        "product": "cmpc_search.study.rewards.accuracies:product",
    },
)
"""Those that are of the metric that counts."""

REWARDS = ACCURACY_REWARDS.extended(
    {
        "mrr": "cmpc_search.study.rewards.smooth:mean_reciprocal_rank",
        "cosine": "cmpc_search.study.rewards.smooth:cosine",
        "mrr+cosine": "cmpc_search.study.rewards.smooth:mrr_plus_cosine",
    }
)
