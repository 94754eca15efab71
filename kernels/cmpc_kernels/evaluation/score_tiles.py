"""Walk over all pairs of queries and gallery items without ever holding all their scores.

    256 queries at most --+
                          +--> a tile of cosines [B, C] --> the caller counts, and forgets it
    a piece of gallery ---+

The gallery may be memory-mapped or float16: a piece is normalised when its turn comes, which costs
one part in hundreds of the products that follow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_kernels.checks import check_labels, check_pair
from cmpc_kernels.compiled import scores
from cmpc_kernels.compiled.counts import ignore_same_camera
from cmpc_kernels.errors import BadArgument
from cmpc_kernels.nearest.similarity import unit_rows
from cmpc_kernels.nearest.threads import num_useful_threads, run_parts

__all__ = ["IgnoredPairs", "LabelledPairs", "check_labelled_pairs"]

TILE_SCORES = 1 << 20  # 4 MiB of float32: stays in a third-level cache
TILE_WORK_BYTES = 64 * TILE_SCORES  # that are read while a tile's scores are counted
TILE_QUERIES = 256
TILE_ITEMS = 4  # of the compiled tile: a thread's items begin at a multiple


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class IgnoredPairs:
    """Pairs of a query and an item that a protocol leaves out, as if the item were not there.

    Attributes:
        own_items: int [Q], the gallery row that holds the query's own image, or -1. For a set that
            is searched with its own members it is ``np.arange(Q)``.
        query_cameras, gallery_cameras: int [Q] and [G]. A query's images by its own camera are too
            easy: an item of the same label and camera is ignored, which is the protocol of
            Market-1501 (Zheng et al., ICCV 2015) and most of person re-identification.
    """

    own_items: npt.ArrayLike | None = None
    query_cameras: npt.ArrayLike | None = None
    gallery_cameras: npt.ArrayLike | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LabelledPairs:
    """Checked embeddings and labels of both sides; own_item_Q is all -1 where nothing is own."""

    query_QD: npt.NDArray[Any]
    gallery_GD: npt.NDArray[Any]
    query_label_Q: npt.NDArray[np.int64]
    gallery_label_G: npt.NDArray[np.int64]
    own_item_Q: npt.NDArray[np.int64]
    query_camera_Q: npt.NDArray[np.int64] | None
    gallery_camera_G: npt.NDArray[np.int64] | None

    def tiles(
        self, query_ids: npt.NDArray[np.int64]
    ) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Yield (first gallery row, cosines [B, C]) of these queries with the whole gallery.

        A pair without a score is -inf, an ignored one NaN. One buffer serves all tiles.
        """
        unit_query_BD = unit_rows(self.query_QD[query_ids])
        step = max(1, TILE_SCORES // max(1, len(query_ids)))
        buffer = np.empty(len(query_ids) * min(step, len(self.gallery_GD)), np.float32)
        for first in range(0, len(self.gallery_GD), step):
            items = slice(first, min(first + step, len(self.gallery_GD)))
            shape = (len(query_ids), items.stop - first)
            score_BC = buffer[: shape[0] * shape[1]].reshape(shape)
            fill_scores(unit_query_BD, unit_rows(self.gallery_GD[items]), score_BC)
            self._ignore(score_BC, query_ids, items)
            yield first, score_BC

    def scores_with(
        self, query_ids: npt.NDArray[np.int64], item_ids: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """Return the cosines [B, C] with a few items, bit-equal to those in the tiles."""
        score_BC = np.empty((len(query_ids), len(item_ids)), np.float32)
        query_BD, item_CD = self.query_QD[query_ids], self.gallery_GD[item_ids]
        fill_scores(unit_rows(query_BD), unit_rows(item_CD), score_BC)
        self._ignore(score_BC, query_ids, item_ids)
        return score_BC

    def _ignore(
        self,
        score_BC: npt.NDArray[np.float32],
        query_ids: npt.NDArray[np.int64],
        items: slice | npt.NDArray[np.int64],
    ) -> None:
        """Write NaN over the pairs to be ignored; ``items`` are those of the columns, ascending."""
        item_C = np.r_[items]
        own_item_B = self.own_item_Q[query_ids]
        column_B = np.searchsorted(item_C, own_item_B)
        is_here_B = item_C[np.minimum(column_B, len(item_C) - 1)] == own_item_B
        score_BC[is_here_B, column_B[is_here_B]] = np.nan
        if self.query_camera_Q is not None and self.gallery_camera_G is not None:
            ignore_same_camera(
                score_BC,
                self.query_label_Q[query_ids],
                self.query_camera_Q[query_ids],
                self.gallery_label_G[items],
                self.gallery_camera_G[items],
            )


def fill_scores(
    unit_query_BD: npt.NDArray[np.float32],
    unit_item_CD: npt.NDArray[np.float32],
    score_BC: npt.NDArray[np.float32],
) -> None:
    """Fill the inner products, some of the items in each thread."""
    num_products = len(unit_query_BD) * unit_item_CD.size
    num_threads = num_useful_threads(None, num_products)

    def fill(_: int, first: int, last: int) -> None:
        last = min(TILE_ITEMS * last, len(unit_item_CD))
        scores.fill_scores(unit_query_BD, unit_item_CD, TILE_ITEMS * first, last, score_BC)

    run_parts(fill, -(-len(unit_item_CD) // TILE_ITEMS), num_threads)


def check_labelled_pairs(
    queries: object,
    gallery: object,
    query_labels: object,
    gallery_labels: object,
    ignored: IgnoredPairs | None,
) -> LabelledPairs:
    """Return all of it as checked arrays."""
    query_QD, gallery_GD = check_pair(queries, gallery)
    num_queries, num_items = len(query_QD), len(gallery_GD)
    ignored = ignored or IgnoredPairs()
    cameras = (ignored.query_cameras, ignored.gallery_cameras)
    if (cameras[0] is None) != (cameras[1] is None):
        raise BadArgument(
            "query_cameras and gallery_cameras must come together, got one of them; "
            "give both or neither"
        )
    return LabelledPairs(
        query_QD=query_QD,
        gallery_GD=gallery_GD,
        query_label_Q=check_labels("query_labels", query_labels, num_queries),
        gallery_label_G=check_labels("gallery_labels", gallery_labels, num_items),
        own_item_Q=_check_own_items(ignored.own_items, num_queries, num_items),
        query_camera_Q=_optional_labels("query_cameras", cameras[0], num_queries),
        gallery_camera_G=_optional_labels("gallery_cameras", cameras[1], num_items),
    )


def _optional_labels(name: str, labels: object, num_rows: int) -> npt.NDArray[np.int64] | None:
    return None if labels is None else check_labels(name, labels, num_rows)


def _check_own_items(own_items: object, num_queries: int, num_items: int) -> npt.NDArray[np.int64]:
    if own_items is None:
        return np.full(num_queries, -1, np.int64)
    own_item_Q = check_labels("own_items", own_items, num_queries)
    if own_item_Q.size and not (own_item_Q.min() >= -1 and own_item_Q.max() < num_items):
        raise BadArgument(
            f"own_items must be gallery rows from 0 to {num_items - 1}, or -1 for none, "
            f"got values from {own_item_Q.min()} to {own_item_Q.max()}"
        )
    return own_item_Q
