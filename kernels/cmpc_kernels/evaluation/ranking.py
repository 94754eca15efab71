"""Where do the right items stand in each query's ranking of the whole gallery?

An item is right when it has the query's label. From the ranks of the right items follow the usual
numbers: the cumulative match characteristic at k (the share of queries with a right item among the
k nearest, also called top-k or Rank-k) and average precision, here the mean over a query's right
items of the precision at their ranks. That is what scikit-learn and today's re-identification
toolkits compute; the first evaluations of Oxford5k and Market-1501 integrate the same curve by
trapezoids, which gives slightly other values.

Two steps for each block of queries, neither of which holds Q x G scores:

    its right items  --> their scores, sorted
    the whole gallery --> tiles of scores --> how many items stand before each right one
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_kernels.checks import check_count
from cmpc_kernels.compiled.counts import count_ahead, fill_buckets
from cmpc_kernels.errors import BadArgument
from cmpc_kernels.evaluation.score_tiles import (
    TILE_QUERIES,
    TILE_WORK_BYTES,
    IgnoredPairs,
    LabelledPairs,
    check_labelled_pairs,
)
from cmpc_kernels.nearest.threads import num_useful_threads, run_parts

__all__ = ["QueryRanks", "rank_right_items"]

BLOCK_PAIRS = 1 << 21  # right items of one block's queries; some 100 MiB while they are sorted
NUM_BUCKETS = 1 << 10  # of a query's scores; a few for each right item it usually has
PIECE_ITEMS = 1 << 14  # right items whose embeddings are gathered at a time

Ids = npt.NDArray[np.int64]
Tile = tuple[int, npt.NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class QueryRanks:
    """What each query's ranking says about it; N queries have something to find.

    Attributes:
        query_ids: int64 [N], which queries these are, ascending.
        best_ranks: float64 [N], rank of the first right item; 1 is the nearest, inf is never.
        average_precisions: float64 [N], between 0 and 1.
        num_gallery: Size of the gallery.
        num_excluded: The other queries: no gallery item that counts has their label.
    """

    query_ids: Ids
    best_ranks: npt.NDArray[np.float64]
    average_precisions: npt.NDArray[np.float64]
    num_gallery: int
    num_excluded: int

    @property
    def mean_average_precision(self) -> float:
        return float(np.mean(self.average_precisions))

    def cmc(self, ranks: Sequence[int]) -> tuple[float, ...]:
        """Return, for each k in ``ranks``, the share of queries served by their k nearest."""
        return tuple(float(np.mean(self.best_ranks <= check_count(rank))) for rank in ranks)


def rank_right_items(
    queries: npt.NDArray[Any],
    gallery: npt.NDArray[Any],
    query_labels: npt.ArrayLike,
    gallery_labels: npt.ArrayLike,
    *,
    ignored: IgnoredPairs | None = None,
) -> QueryRanks:
    """Rank the whole gallery for each query, by cosine; return where the right items stand.

    ``queries`` is float32 or float16 [Q, D], ``gallery`` [G, D], which may be memory-mapped; labels
    are integers. Equal scores rank the lower row first; a pair without a score (NaN) ranks nowhere.
    Memory beside the arguments is some hundred MiB at most, whatever Q and G.

    Raises:
        BadArgument: shapes or types do not fit, or no query has anything to find.
    """
    pairs = check_labelled_pairs(queries, gallery, query_labels, gallery_labels, ignored)
    right = _RightItems(pairs)
    best_rank_Q = np.full(len(pairs.query_QD), np.nan)
    average_precision_Q = np.full(len(pairs.query_QD), np.nan)
    for block in right.blocks():
        best_rank_Q[block], average_precision_Q[block] = _rank_block(pairs, right, block)
    found = np.flatnonzero(~np.isnan(best_rank_Q))
    if not len(found):
        raise BadArgument(
            f"at least one query must share its label with a gallery item, got "
            f"{len(pairs.query_QD)} queries and {len(pairs.gallery_GD)} items that share none; "
            f"check that both label arrays number the classes alike"
        )
    return QueryRanks(
        query_ids=found,
        best_ranks=best_rank_Q[found],
        average_precisions=average_precision_Q[found],
        num_gallery=len(pairs.gallery_GD),
        num_excluded=len(pairs.query_QD) - len(found),
    )


class _RightItems:
    """Finds the items of a label, and queries that may be ranked together."""

    def __init__(self, pairs: LabelledPairs) -> None:
        self._label_Q = pairs.query_label_Q
        self._item_by_label_G = np.argsort(pairs.gallery_label_G, kind="stable")
        sorted_label_G = pairs.gallery_label_G[self._item_by_label_G]
        self._first_Q = np.searchsorted(sorted_label_G, self._label_Q, side="left")
        self._stop_Q = np.searchsorted(sorted_label_G, self._label_Q, side="right")

    def of(self, query: int) -> Ids:
        """Return the rows of the gallery that have a query's label, ascending."""
        return self._item_by_label_G[self._first_Q[query] : self._stop_Q[query]]

    def blocks(self) -> Iterator[Ids]:
        """Yield queries with right items, equal labels together, few enough for one tile."""
        num_right_Q = self._stop_Q - self._first_Q
        waiting = np.argsort(self._label_Q, kind="stable")
        waiting = waiting[num_right_Q[waiting] > 0]
        while len(waiting):
            num_pairs = np.cumsum(num_right_Q[waiting[:TILE_QUERIES]])
            size = max(1, int(np.searchsorted(num_pairs, BLOCK_PAIRS, side="right")))
            yield waiting[:size]
            waiting = waiting[size:]

    def by_label(self, block: Ids) -> Iterator[Ids]:
        """Yield the runs of a block's positions whose queries have one label."""
        starts = np.flatnonzero(np.diff(self._label_Q[block])) + 1
        yield from np.split(np.arange(len(block)), starts)


def _rank_block(
    pairs: LabelledPairs, right_items: _RightItems, block: Ids
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return each query's best rank and average precision; NaN where nothing was to be found."""
    place_P, item_P, score_P = _scores_of_right_items(pairs, right_items, block)
    first_B = np.searchsorted(place_P, np.arange(len(block) + 1))
    count_P = np.zeros(len(place_P), np.int64)
    floor_B, scale_B = np.empty((2, len(block)), np.float32)
    start_BT = np.empty((len(block), NUM_BUCKETS + 1), np.int64)
    fill_buckets(first_B, score_P, floor_B, scale_B, start_BT)
    num_threads = num_useful_threads(None, TILE_WORK_BYTES)
    for first_item, score_BC in pairs.tiles(block):

        def count(_: int, first: int, last: int, tile: Tile = (first_item, score_BC)) -> None:
            some = slice(first, last)
            count_ahead(
                tile[1][some],
                tile[0],
                first_B[some],
                floor_B[some],
                scale_B[some],
                start_BT[some],
                score_P,
                item_P,
                count_P,
            )

        run_parts(count, len(block), num_threads)
    total_P = np.concatenate([[0], np.cumsum(count_P)])
    rank_P = (total_P[1:] - total_P[first_B[place_P]]).astype(np.float64)
    rank_P[np.isneginf(score_P)] = np.inf
    order_P = np.arange(1, len(place_P) + 1) - first_B[place_P]
    num_right_B = np.diff(first_B)
    precision_B = np.bincount(place_P, weights=order_P / rank_P, minlength=len(block))
    best_rank_B = np.full(len(block), np.nan)
    best_rank_B[num_right_B > 0] = rank_P[first_B[:-1][num_right_B > 0]]
    return best_rank_B, precision_B / np.where(num_right_B > 0, num_right_B, np.nan)


def _scores_of_right_items(
    pairs: LabelledPairs, right: _RightItems, block: Ids
) -> tuple[Ids, Ids, npt.NDArray[np.float32]]:
    """Return (position in the block, item, score) of each right pair, query by query, best first.

    Ignored pairs are left out.
    """
    places, items, scores = [], [], []
    for run in right.by_label(block):
        right_items = right.of(int(block[run[0]]))
        for start in range(0, len(right_items), PIECE_ITEMS):
            piece = right_items[start : start + PIECE_ITEMS]
            score_BC = pairs.scores_with(block[run], piece)
            row, column = np.nonzero(~np.isnan(score_BC))
            places.append(run[row])
            items.append(piece[column])
            scores.append(score_BC[row, column])
    place_P, item_P = np.concatenate(places), np.concatenate(items)
    score_P = np.concatenate(scores)
    order_P = np.lexsort((item_P, -score_P, place_P))
    return place_P[order_P], item_P[order_P], score_P[order_P]
