"""Judge embeddings: do queries find the gallery items of their own label?

    retrieval_scores    where do the right items stand in each query's ranking?     ranking.py
    tar_at_far          pairs (1:1): given the scores of some pairs
    verification_rates  pairs (1:1): over all pairs of two sets of embeddings       verification.py
    tpir_at_fpir        open-set search (1:N): the nearest item, if it is near enough

The last three ask how many right answers survive a threshold that lets few wrong ones through; the
threshold may be as low as the allowed share of false answers permits, and the share reached never
exceeds the one allowed. (Tools that read a curve at the *nearest* share may exceed it a little.)

Scores are cosines. A pair without a score (NaN) ranks nowhere: it is never a right answer. Equal
scores rank the lower id first, so every number here is reproducible to the bit. None holds Q x G
scores: memory is bounded for any number of queries and items.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_kernels.checks import check_labels, check_pair, check_unmasked
from cmpc_kernels.errors import BadArgument
from cmpc_kernels.evaluation.ranking import rank_right_items
from cmpc_kernels.evaluation.score_tiles import IgnoredPairs
from cmpc_kernels.evaluation.verification import check_share, num_allowed_of
from cmpc_kernels.nearest.similarity import topk
from cmpc_kernels.records import RetrievalScores

__all__ = ["retrieval_scores", "tar_at_far", "tpir_at_fpir"]


def retrieval_scores(
    queries: npt.NDArray[Any],
    gallery: npt.NDArray[Any],
    query_labels: npt.ArrayLike,
    gallery_labels: npt.ArrayLike,
    *,
    ignored: IgnoredPairs | None = None,
) -> RetrievalScores:
    """Return top-1, top-10 and mean average precision over the full ranking.

    top-k is the share of queries with an item of their label among the k nearest (CMC); for other
    k, or each query's own numbers, call ``rank_right_items``. Queries whose label no gallery item
    has are left out and counted in ``num_excluded``.
    """
    ranks = rank_right_items(queries, gallery, query_labels, gallery_labels, ignored=ignored)
    top1, top10 = ranks.cmc([1, 10])
    return RetrievalScores(
        top1=top1,
        top10=top10,
        mean_average_precision=ranks.mean_average_precision,
        num_queries=len(ranks.query_ids),
        num_gallery=ranks.num_gallery,
        num_excluded=ranks.num_excluded,
    )


def tar_at_far(scores: npt.ArrayLike, is_genuine: npt.ArrayLike, false_accept_rate: float) -> float:
    """Return the share of genuine pairs accepted when at most that share of impostors is.

    ``scores`` holds one similarity for each pair; ``is_genuine`` says whether it is one identity.
    """
    check_share("false_accept_rate", false_accept_rate)
    score_P = np.asarray(check_unmasked("scores", scores), np.float64)
    is_genuine_P = check_unmasked("is_genuine", is_genuine)
    if is_genuine_P.dtype != np.bool_ or not score_P.shape == is_genuine_P.shape == (score_P.size,):
        raise BadArgument(
            f"scores and is_genuine (bool) must be of one length, got the shapes "
            f"{list(score_P.shape)} and {list(is_genuine_P.shape)} ({is_genuine_P.dtype})"
        )
    genuine_P, impostor_P = score_P[is_genuine_P], score_P[~is_genuine_P]
    if not (len(genuine_P) and len(impostor_P)):
        raise BadArgument(
            f"both kinds of pairs are needed, got {len(genuine_P)} genuine and "
            f"{len(impostor_P)} impostor pairs"
        )
    return float(np.mean(genuine_P > _reject_up_to(impostor_P, false_accept_rate)))


def tpir_at_fpir(
    queries: npt.NDArray[Any],
    gallery: npt.NDArray[Any],
    query_labels: npt.ArrayLike,
    gallery_labels: npt.ArrayLike,
    *,
    false_positive_rate: float,
) -> float:
    """Return the share of mated queries whose nearest item is right and passes the threshold.

    A query is mated when the gallery holds its label. The threshold lets at most the given share
    of the others return anything. Cosine, one gallery; for two galleries average the two results.
    """
    check_share("false_positive_rate", false_positive_rate)
    query_QD, gallery_GD = check_pair(queries, gallery)
    query_label_Q = check_labels("query_labels", query_labels, len(query_QD))
    gallery_label_G = check_labels("gallery_labels", gallery_labels, len(gallery_GD))
    is_mated_Q = np.isin(query_label_Q, gallery_label_G)
    if is_mated_Q.all() or not is_mated_Q.any():
        raise BadArgument(
            f"queries both with and without their label in the gallery are needed, "
            f"got {int(is_mated_Q.sum())} with it among {len(query_QD)}"
        )
    nearest = topk(query_QD, gallery_GD, 1, metric="cosine")
    score_Q, id_Q = nearest.scores[:, 0].astype(np.float64), nearest.ids[:, 0]
    threshold = _reject_up_to(score_Q[~is_mated_Q], false_positive_rate)
    is_right_Q = (id_Q >= 0) & (gallery_label_G[id_Q] == query_label_Q)
    return float(np.mean((is_right_Q & (score_Q > threshold))[is_mated_Q]))


def _reject_up_to(wrong_N: npt.NDArray[np.float64], share: float) -> float:
    """Return the score that must be exceeded so that at most ``share`` of the wrong ones do."""
    wrong_N = np.sort(np.where(np.isnan(wrong_N), -np.inf, wrong_N))[::-1]
    num_allowed = num_allowed_of(share, len(wrong_N))
    return float(wrong_N[num_allowed]) if num_allowed < len(wrong_N) else -np.inf
