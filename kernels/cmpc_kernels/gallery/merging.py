"""Put the best of several searches together: of shards, or of the pieces of a stream."""

import functools
from collections.abc import Iterable

import numpy as np

from cmpc_kernels.compiled.heaps import round_scores
from cmpc_kernels.records import Neighbours

__all__ = ["best_of", "best_of_two", "rounded"]


def best_of(parts: Iterable[Neighbours], num_kept: int, metric: str) -> Neighbours:
    """Return the ``num_kept`` best of one or more parts [Q, .].

    A part's ids must be higher than those of the parts before it: then a stable sort puts the
    lower id first among equal scores. With scores in float64, before they are rounded, the answer
    is that of one search over everything.
    """
    return functools.reduce(lambda a, b: best_of_two(a, b, num_kept, metric), parts)


def rounded(found: Neighbours) -> Neighbours:
    """Return an answer with its scores in float32; what float32 cannot hold is infinite."""
    score_QK = np.empty(found.scores.shape, np.float32)
    round_scores(found.scores, score_QK)
    return Neighbours(scores=score_QK, ids=found.ids)


def best_of_two(first: Neighbours, second: Neighbours, num_kept: int, metric: str) -> Neighbours:
    """Merge two answers to the same queries."""
    score_QN = np.concatenate([first.scores, second.scores], axis=1)
    id_QN = np.concatenate([first.ids, second.ids], axis=1)
    # An empty slot is worst, below an infinite distance too: first by emptiness, then by score.
    worst_first_QN = score_QN if metric == "l2" else -score_QN
    order_QN = np.lexsort((worst_first_QN, id_QN < 0), axis=1)[:, :num_kept]
    return Neighbours(
        scores=np.take_along_axis(score_QN, order_QN, axis=1),
        ids=np.take_along_axis(id_QN, order_QN, axis=1),
    )
