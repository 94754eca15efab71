"""How well a query network retrieves: M(q, q), M(q, g) and M(g, g) on one split's classes.

The names are those of CMP-NAS (Duggal et al., CVPR 2021): the first letter is the network that
embeds the queries, the second the one that embeds the gallery.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmpc_kernels import QueryRanks, rank_right_items
from cmpc_search.data import ImageSet
from cmpc_search.networks.query import QueryNetwork
from cmpc_search.study.records import Accuracy
from cmpc_search.training.embedding import embed_images

__all__ = ["PairRanks", "accuracy_of", "rank_both_ways", "rank_queries"]

Rows = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PairRanks:
    """How a query network ranks its own gallery, M(q, q), and the gallery network's, M(q, g)."""

    homogeneous: QueryRanks
    heterogeneous: QueryRanks


def rank_queries(
    image_set: ImageSet, split: str, *, query_rows: Rows, gallery_rows: Rows
) -> QueryRanks:
    """Return where the queries of ``split`` find their classes in its gallery.

    ``query_rows`` and ``gallery_rows`` are the embeddings float32 [n, D] of that split's images of
    either role, in the order of `ImageSet.select`. Queries whose class has no gallery image in the
    split have nothing to find: they are not ranked, and counted in ``num_excluded``.
    """
    queries = image_set.select(split=split, role="query")
    gallery = image_set.select(split=split, role="gallery")
    return rank_right_items(
        query_rows, gallery_rows, image_set.labels[queries], image_set.labels[gallery]
    )


def rank_both_ways(
    network: QueryNetwork, image_set: ImageSet, split: str, gallery_rows: Rows
) -> PairRanks:
    """Return the ranks behind M(q, q) and M(q, g) of ``network``.

    ``gallery_rows`` are the gallery network's embeddings float32 [N, D] of the whole set.
    """
    queries = image_set.select(split=split, role="query")
    gallery = image_set.select(split=split, role="gallery")
    query_rows = embed_images(network, image_set.images[queries])
    own_rows = embed_images(network, image_set.images[gallery])
    return PairRanks(
        homogeneous=rank_queries(image_set, split, query_rows=query_rows, gallery_rows=own_rows),
        heterogeneous=rank_queries(
            image_set, split, query_rows=query_rows, gallery_rows=gallery_rows[gallery]
        ),
    )


def accuracy_of(ranks: QueryRanks) -> Accuracy:
    """Return the means over the queries that have something to find."""
    top1, top10 = ranks.cmc([1, 10])
    return Accuracy(
        top1=top1,
        top10=top10,
        mean_average_precision=ranks.mean_average_precision,
        num_queries=len(ranks.query_ids),
        num_excluded=ranks.num_excluded,
    )
