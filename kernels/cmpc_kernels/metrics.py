"""Judge embeddings: do queries find the gallery items of their own label?

Retrieval (``retrieval_scores``) asks of each query where the right items stand in its ranking.
Open-set faces (``tpir_at_fpir``, 1:N) and pairs (``tar_at_far``, 1:1) ask how many right answers
survive a threshold that lets few wrong ones through; the threshold may be as low as the allowed
share of false answers permits, and the share reached never exceeds the one allowed. (Tools that
read a curve at the *nearest* share may exceed it a little.)

Scores are cosines. A pair without a score (NaN) ranks nowhere: it is never a right answer. Equal
scores rank the lower id first, so every number here is reproducible to the bit.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_kernels import _compiled
from cmpc_kernels._checks import check_labels, check_pair
from cmpc_kernels.errors import BadArgument
from cmpc_kernels.records import RetrievalScores
from cmpc_kernels.similarity import threads_for, topk, unit_rows

__all__ = ["retrieval_scores", "tar_at_far", "tpir_at_fpir"]

CHUNK_SCORES = 1 << 22  # 16 MiB of float32 scores at a time, whatever the number of queries


def retrieval_scores(
    queries: npt.NDArray[Any],
    gallery: npt.NDArray[Any],
    query_labels: npt.ArrayLike,
    gallery_labels: npt.ArrayLike,
) -> RetrievalScores:
    """Return top-1, top-10 and mean average precision over the full ranking.

    top-k is the share of queries with an item of their label among the k nearest (CMC). Queries
    whose label no gallery item has are left out and counted in ``num_excluded``.
    """
    query_QD, gallery_GD = check_pair(queries, gallery)
    query_label_Q = check_labels("query_labels", query_labels, len(query_QD))
    gallery_label_G = check_labels("gallery_labels", gallery_labels, len(gallery_GD))
    is_scored_Q = np.isin(query_label_Q, gallery_label_G)
    if not is_scored_Q.any():
        raise BadArgument(
            f"at least one query must share its label with a gallery item, got "
            f"{len(query_QD)} queries and {len(gallery_GD)} items that share none; "
            f"check that both label arrays number the classes alike"
        )
    with threads_for(len(query_QD) * gallery_GD.size):
        best_rank_Q, average_precision_Q = _ranks_and_precision(
            query_QD[is_scored_Q], gallery_GD, query_label_Q[is_scored_Q], gallery_label_G
        )
    return RetrievalScores(
        top1=float(np.mean(best_rank_Q <= 1)),
        top10=float(np.mean(best_rank_Q <= 10)),
        mean_average_precision=float(np.mean(average_precision_Q)),
        num_queries=int(is_scored_Q.sum()),
        num_gallery=len(gallery_GD),
        num_excluded=int((~is_scored_Q).sum()),
    )


def tar_at_far(scores: npt.ArrayLike, is_genuine: npt.ArrayLike, false_accept_rate: float) -> float:
    """Return the share of genuine pairs accepted when at most that share of impostors is.

    ``scores`` holds one similarity for each pair; ``is_genuine`` says whether it is one identity.
    """
    _check_share("false_accept_rate", false_accept_rate)
    score_P, is_genuine_P = np.asarray(scores, np.float64), np.asarray(is_genuine)
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
    _check_share("false_positive_rate", false_positive_rate)
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


def _ranks_and_precision(
    query_QD: npt.NDArray[Any],
    gallery_GD: npt.NDArray[Any],
    query_label_Q: npt.NDArray[np.int64],
    gallery_label_G: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return each query's best rank of a right item, and its average precision."""
    item_by_label_G = np.argsort(gallery_label_G, kind="stable")
    sorted_label_G = gallery_label_G[item_by_label_G]
    first_Q = np.searchsorted(sorted_label_G, query_label_Q, side="left")
    num_right_Q = np.searchsorted(sorted_label_G, query_label_Q, side="right") - first_Q
    unit_gallery_GD = unit_rows(gallery_GD)
    best_rank_Q, average_precision_Q = np.empty((2, len(query_QD)))
    step = max(1, CHUNK_SCORES // len(gallery_GD))
    for start in range(0, len(query_QD), step):
        part = slice(start, start + step)
        score_CG = np.empty((len(query_QD[part]), len(gallery_GD)), np.float32)
        _compiled.fill_scores(unit_rows(query_QD[part]), unit_gallery_GD, score_CG)
        # P: the pairs of a query and one of its right items, query by query.
        query_P = np.repeat(np.arange(len(score_CG)), num_right_Q[part])
        pair_C = np.concatenate([[0], np.cumsum(num_right_Q[part])])
        place_P = np.arange(len(query_P)) - pair_C[query_P]
        item_P = item_by_label_G[first_Q[part][query_P] + place_P]
        rank_P = _ranks(score_CG, query_P, item_P, pair_C)
        best_rank_Q[part] = rank_P[pair_C[:-1]]
        precision_C = np.bincount(query_P, weights=(place_P + 1) / rank_P)
        average_precision_Q[part] = precision_C / num_right_Q[part]
    return best_rank_Q, average_precision_Q


def _ranks(
    score_CG: npt.NDArray[np.float32],
    query_P: npt.NDArray[np.int64],
    item_P: npt.NDArray[np.int64],
    pair_C: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Return the ranks of each query's right items, ascending; inf for an item without a score."""
    score_P = score_CG[query_P, item_P]
    order_P = np.lexsort((item_P, -score_P, query_P))
    score_P, item_P = score_P[order_P], item_P[order_P]
    rank_P = np.empty(len(query_P))
    _compiled.fill_ranks(score_CG, pair_C, score_P, item_P, rank_P)
    rank_P[np.isneginf(score_P)] = np.inf
    return rank_P


def _reject_up_to(wrong_N: npt.NDArray[np.float64], share: float) -> float:
    """Return the score that must be exceeded so that at most ``share`` of the wrong ones do."""
    wrong_N = np.sort(np.where(np.isnan(wrong_N), -np.inf, wrong_N))[::-1]
    num_allowed = int(np.floor(share * len(wrong_N) + 1e-9))  # 0.1 * 30 must allow three
    return float(wrong_N[num_allowed]) if num_allowed < len(wrong_N) else -np.inf


def _check_share(name: str, share: float) -> None:
    if not 0 <= share <= 1:
        raise BadArgument(f"`0 <= {name} <= 1` must hold, got {share}; 1e-4 means 0.01 %")
