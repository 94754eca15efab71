"""How well a query network retrieves: M(q, q), M(q, g) and M(g, g) on one split's classes.

The names are those of CMP-NAS (Duggal et al., CVPR 2021): the first letter is the network that
embeds the queries, the second the one that embeds the gallery.
"""

import numpy as np
import numpy.typing as npt

from cmpc_kernels import retrieval_scores
from cmpc_search.data import ImageSet
from cmpc_search.embedding import embed_images
from cmpc_search.networks.query import QueryNetwork
from cmpc_search.study.records import Accuracy

__all__ = ["accuracies", "accuracy"]

Rows = npt.NDArray[np.float32]


def accuracy(image_set: ImageSet, split: str, query_rows: Rows, gallery_rows: Rows) -> Accuracy:
    """Return how well the queries of ``split`` find their classes in its gallery.

    ``query_rows`` and ``gallery_rows`` are the embeddings float32 [n, D] of that split's images of
    either role, in the order of `ImageSet.select`.
    """
    queries = image_set.select(split=split, role="query")
    gallery = image_set.select(split=split, role="gallery")
    scores = retrieval_scores(
        query_rows, gallery_rows, image_set.labels[queries], image_set.labels[gallery]
    )
    return Accuracy(
        top1=scores.top1,
        top10=scores.top10,
        mean_average_precision=scores.mean_average_precision,
    )


def accuracies(
    network: QueryNetwork, image_set: ImageSet, split: str, gallery_rows: Rows
) -> tuple[Accuracy, Accuracy]:
    """Return M(q, q) and M(q, g) of ``network``.

    ``gallery_rows`` are the gallery network's embeddings float32 [N, D] of the whole set.
    """
    queries = image_set.select(split=split, role="query")
    gallery = image_set.select(split=split, role="gallery")
    query_rows = embed_images(network, image_set.images[queries])
    own_gallery = embed_images(network, image_set.images[gallery])
    return (
        accuracy(image_set, split, query_rows, own_gallery),
        accuracy(image_set, split, query_rows, gallery_rows[gallery]),
    )
