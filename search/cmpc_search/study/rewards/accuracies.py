"""R1, R2 and R3 of CMP-NAS (Duggal et al., CVPR 2021), on validation classes."""

from cmpc_search.study.rewards.base import RewardFacts

__all__ = ["heterogeneous", "homogeneous", "product"]


def homogeneous(facts: RewardFacts) -> float:
    """R1 = M(q, q)."""
    return facts.own


def heterogeneous(facts: RewardFacts) -> float:
    """R2 = M(q, g)."""
    return facts.across


def product(facts: RewardFacts) -> float:
    """R3 = R1 * R2."""
    return facts.own * facts.across
