"""Rewards that move with every query: a share such as top-1 jumps, and few queries jump by chance.

The mean reciprocal rank (Voorhees, TREC-8, 1999) tells rank 2 from rank 50. The cosine to the
gallery network's own embedding of the same query asks for no labels and no gallery: it is one minus
the regression loss of asymmetric retrieval (Budnik and Avrithis, 2020) on classes that nobody
trained on.
"""

from cmpc_search.study.rewards.base import RewardFacts, accuracy_value

__all__ = ["cosine", "mean_reciprocal_rank", "mrr_plus_cosine"]


def mean_reciprocal_rank(facts: RewardFacts) -> float:
    """Return the mean reciprocal rank of M(q, g), whatever metric counts elsewhere."""
    return accuracy_value(facts.heterogeneous, "mrr")


def cosine(facts: RewardFacts) -> float:
    """Return the mean cosine to what the gallery network makes of the same queries."""
    return facts.cosine


def mrr_plus_cosine(facts: RewardFacts) -> float:
    """Return the sum of the two: what is found, and how close the embeddings are."""
    return mean_reciprocal_rank(facts) + cosine(facts)
