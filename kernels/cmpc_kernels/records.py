"""What the retrieval core hands back: plain frozen records of arrays and numbers."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Neighbours", "RetrievalScores"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Neighbours:
    """The nearest gallery items of each query, best first.

    ``scores`` is float32 [Q, K], ``ids`` is int64 [Q, K]. A slot that no item can fill holds the
    id -1 and the worst score of the metric: -inf, or +inf for "l2".
    """

    scores: npt.NDArray[np.float32]
    ids: npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class RetrievalScores:
    """How well queries find gallery items of their own label; shares between 0 and 1.

    The means run over ``num_queries``. The ``num_excluded`` other queries carry a label that no
    gallery item has: no ranking could serve them, so they say nothing about the embeddings.
    """

    top1: float
    top10: float
    mean_average_precision: float
    num_queries: int
    num_gallery: int
    num_excluded: int = 0
