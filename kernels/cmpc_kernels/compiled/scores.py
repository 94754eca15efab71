"""The compiled loops over float32 rows. Shapes: Q queries, G gallery items, D dimensions, N rows.

They only fill arrays: callers check, allocate and split the work among threads. Sums have the
order of ``lane_sums.py``, so a pair of rows has the same score, to the bit, wherever it lies and on
every processor: a tie is a tie.
"""
# Numba infers the types here, and has no stubs.
# mypy: ignore-errors

import numpy as np

from cmpc_kernels.compiled.lane_sums import (
    TILE_ITEMS,
    TILE_QUERIES,
    sum_products,
    tile_products,
)
from cmpc_kernels.compiled.options import entrance

__all__ = ["fill_scores", "fill_unit_rows"]


@entrance()
def fill_scores(query_QD, gallery_GD, first, last, score_QG):
    """Fill some columns of the matrix of inner products; a NaN becomes -inf: no neighbour.

    The columns are those of the items ``first`` to ``last``.
    """
    Q = score_QG.shape[0]
    for g in range(first, last, TILE_ITEMS):
        for q in range(0, Q, TILE_QUERIES):
            tile = tile_products(query_QD, q, gallery_GD, g)
            for i in range(min(TILE_QUERIES, Q - q)):
                for j in range(min(TILE_ITEMS, last - g)):
                    score = tile[TILE_ITEMS * i + j]
                    score_QG[q + i, g + j] = score if score == score else -np.inf


@entrance()
def fill_unit_rows(row_ND, unit_ND):
    """Divide each row by its length, which float64 holds for any float32 row; zero stays zero."""
    for n in range(row_ND.shape[0]):
        square = sum_products(row_ND, n, row_ND, n)
        length = np.sqrt(square) if square != 0 else np.float64(1)
        for d in range(row_ND.shape[1]):
            unit_ND[n, d] = np.float32(np.float64(row_ND[n, d]) / length)
