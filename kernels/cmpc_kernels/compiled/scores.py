"""The compiled loops over float32 rows. Shapes: Q queries, G gallery items, D dimensions, N rows.

They only fill arrays: callers check, allocate and split the work among threads. Edges of a tile
repeat the last row instead of taking a second code path: a pair of rows has the same score, to the
bit, wherever it lies, so a tie is a tie.
"""
# Numba infers the types here, and has no stubs.
# mypy: ignore-errors

import numpy as np
from numba import njit

__all__ = ["fill_scores", "fill_unit_rows"]

# All fast-math flags but nnan and ninf: a NaN must stay one, and lose every comparison.
FASTMATH = {"nsz", "arcp", "contract", "afn", "reassoc"}


@njit(nogil=True, fastmath=FASTMATH, cache=True)
def ip_tile(query_QD, q, gallery_GD, g):
    """Return the inner products of queries q, q+1 with items g .. g+3, query by query."""
    last_q, last_g = query_QD.shape[0] - 1, gallery_GD.shape[0] - 1
    q0, q1 = query_QD[q], query_QD[min(q + 1, last_q)]
    g0, g1 = gallery_GD[g], gallery_GD[min(g + 1, last_g)]
    g2, g3 = gallery_GD[min(g + 2, last_g)], gallery_GD[min(g + 3, last_g)]
    a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = np.float32(0)
    for d in range(query_QD.shape[1]):
        a0 += q0[d] * g0[d]
        a1 += q0[d] * g1[d]
        a2 += q0[d] * g2[d]
        a3 += q0[d] * g3[d]
        b0 += q1[d] * g0[d]
        b1 += q1[d] * g1[d]
        b2 += q1[d] * g2[d]
        b3 += q1[d] * g3[d]
    return a0, a1, a2, a3, b0, b1, b2, b3


@njit(nogil=True, fastmath=FASTMATH, cache=True)
def fill_scores(query_QD, gallery_GD, first, last, score_QG):
    """Fill some columns of the matrix of inner products; a NaN becomes -inf: no neighbour.

    The columns are those of the items ``first`` to ``last``; ``first`` must be a multiple of 4.
    """
    Q = score_QG.shape[0]
    for g in range(first, last, 4):
        for q in range(0, Q, 2):
            tile = ip_tile(query_QD, q, gallery_GD, g)
            for i in range(min(2, Q - q)):
                for j in range(min(4, last - g)):
                    score = tile[4 * i + j]
                    score_QG[q + i, g + j] = score if score == score else -np.inf


@njit(nogil=True, fastmath=FASTMATH, cache=True)
def fill_unit_rows(row_ND, unit_ND):
    """Divide each row by its length, which float64 holds for any float32 row; zero stays zero."""
    for n in range(row_ND.shape[0]):
        square = np.float64(0)
        for d in range(row_ND.shape[1]):
            square += np.float64(row_ND[n, d]) * np.float64(row_ND[n, d])
        length = np.sqrt(square) if square != 0 else np.float64(1)
        for d in range(row_ND.shape[1]):
            unit_ND[n, d] = np.float32(np.float64(row_ND[n, d]) / length)
