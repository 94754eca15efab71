"""The same answers in plain NumPy and float64: the definitions that the kernels must meet.

Read this first. It is slow, holds whole score matrices, and checks nothing. Scores that come in
float64 meet the definition in every bit, on every processor, so ids do: see ``sum_in_lanes``.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_kernels.records import Neighbours, RetrievalScores

__all__ = ["retrieval_scores", "score_matrix", "sum_in_lanes", "topk"]

NUM_LANES = 8


def sum_in_lanes(terms: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the sums over the last axis, [..., D] to [...], in the one order that scores have.

    The terms go into eight lanes in turn, and the lanes are added by halves, each operation rounded
    by itself as IEEE 754 says:

        l_j = ((0 + t_j) + t_(j+8)) + t_(j+16) + ...
        sum = ((l_0 + l_4) + (l_2 + l_6)) + ((l_1 + l_5) + (l_3 + l_7))
    """
    lanes = np.zeros((*terms.shape[:-1], NUM_LANES), terms.dtype)
    for first in range(0, terms.shape[-1], NUM_LANES):
        some = terms[..., first : first + NUM_LANES]
        lanes[..., : some.shape[-1]] += some
    while lanes.shape[-1] > 1:
        half = lanes.shape[-1] // 2
        lanes = lanes[..., :half] + lanes[..., half:]
    total: npt.NDArray[Any] = lanes[..., 0]
    return total


def score_matrix(
    queries: npt.NDArray[Any], gallery: npt.NDArray[Any], metric: str
) -> npt.NDArray[np.float64]:
    """Return larger-is-better scores [Q, G]; -inf where a pair has no score.

    A product of two float32 is exact in float64. A cosine is <q, x> / |q| / |x|, in this order; a
    row that is zero has the cosine 0 with every row.
    """
    query_QD, gallery_GD = queries.astype(np.float64), gallery.astype(np.float64)
    score_QG = np.empty((len(query_QD), len(gallery_GD)))
    with np.errstate(divide="ignore", invalid="ignore"):
        for query_D, score_G in zip(query_QD, score_QG, strict=True):
            score_G[:] = _scores(query_D, gallery_GD, metric)
    return np.where(np.isnan(score_QG), -np.inf, score_QG)


def _scores(
    query_D: npt.NDArray[np.float64], gallery_GD: npt.NDArray[np.float64], metric: str
) -> npt.NDArray[np.float64]:
    if metric == "l2":
        return -sum_in_lanes(np.square(query_D - gallery_GD))
    product_G = sum_in_lanes(query_D * gallery_GD)
    if metric == "ip":
        return product_G
    query_square, square_G = sum_in_lanes(np.square(query_D)), sum_in_lanes(np.square(gallery_GD))
    cosine_G = product_G / np.sqrt(query_square) / np.sqrt(square_G)
    return np.where((query_square == 0) | (square_G == 0), product_G, cosine_G)


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
