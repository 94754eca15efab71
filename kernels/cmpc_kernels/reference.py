"""The same answers in plain NumPy and float64: the definitions that the kernels must meet.

Read this first. It is slow, holds whole score matrices, and checks nothing.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_kernels.records import Neighbours, RetrievalScores

__all__ = ["retrieval_scores", "score_matrix", "topk"]


def score_matrix(
    queries: npt.NDArray[Any], gallery: npt.NDArray[Any], metric: str
) -> npt.NDArray[np.float64]:
    """Return larger-is-better scores [Q, G]; -inf where a pair has no score."""
    query_QD, gallery_GD = queries.astype(np.float64), gallery.astype(np.float64)
    with np.errstate(invalid="ignore"):
        if metric == "l2":
            difference_QGD = query_QD[:, np.newaxis] - gallery_GD
            score_QG = -np.square(difference_QGD).sum(axis=2)
        elif metric == "cosine":
            score_QG = _unit(query_QD) @ _unit(gallery_GD).T
        else:
            score_QG = query_QD @ gallery_GD.T
    return np.where(np.isnan(score_QG), -np.inf, score_QG)


def topk(
    queries: npt.NDArray[Any], gallery: npt.NDArray[Any], k: int, metric: str = "ip"
) -> Neighbours:
    """Sort everything, keep k."""
    score_QG = score_matrix(queries, gallery, metric)
    score_QG = np.pad(score_QG, ((0, 0), (0, k)), constant_values=-np.inf)
    id_QK = np.argsort(-score_QG, axis=1, kind="stable")[:, :k]
    score_QK = np.take_along_axis(score_QG, id_QK, axis=1)
    id_QK[np.isneginf(score_QK)] = -1
    return Neighbours(
        scores=(-score_QK if metric == "l2" else score_QK).astype(np.float32),
        ids=id_QK.astype(np.int64),
    )


def retrieval_scores(
    queries: npt.NDArray[Any],
    gallery: npt.NDArray[Any],
    query_labels: npt.NDArray[np.int64],
    gallery_labels: npt.NDArray[np.int64],
) -> RetrievalScores:
    """Walk down each query's full ranking; sum the precision at each right item."""
    score_QG = score_matrix(queries, gallery, "cosine")
    best_rank, average_precision = [], []
    for score_G, label in zip(score_QG, query_labels, strict=True):
        if label not in gallery_labels:
            continue
        order = np.argsort(-score_G, kind="stable")
        is_right = (gallery_labels[order] == label) & (score_G[order] > -np.inf)
        rank = np.flatnonzero(is_right) + 1
        precision_at_right = np.arange(1, len(rank) + 1) / rank
        average_precision.append(precision_at_right.sum() / np.sum(gallery_labels == label))
        best_rank.append(rank.min(initial=len(gallery) + 11))
    return RetrievalScores(
        top1=float(np.mean(np.array(best_rank) <= 1)),
        top10=float(np.mean(np.array(best_rank) <= 10)),
        mean_average_precision=float(np.mean(average_precision)),
        num_queries=len(best_rank),
        num_gallery=len(gallery),
        num_excluded=len(queries) - len(best_rank),
    )


def _unit(row_ND: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    length_N1 = np.linalg.norm(row_ND, axis=1, keepdims=True)
    unit_ND: npt.NDArray[np.float64] = row_ND / np.where(length_N1 == 0, 1, length_N1)
    return unit_ND
