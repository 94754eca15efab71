"""How much of the exact answer does an index find? Measured, never assumed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_kernels.checks import check_count
from cmpc_kernels.errors import BadArgument
from cmpc_kernels.gallery.chunks import Chunks, EmbeddingSource
from cmpc_kernels.gallery.merging import best_of
from cmpc_kernels.gallery.quantizer import QuantizedQueries
from cmpc_kernels.gallery.searchable import Searchable
from cmpc_kernels.nearest.similarity import topk
from cmpc_kernels.records import Neighbours

__all__ = ["Recall", "measure_recall"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recall:
    """The share of the exact ``k`` nearest items that a search finds, mean over the queries."""

    recall: float
    k: int
    num_queries: int


def measure_recall(
    index: Searchable,
    queries: npt.NDArray[Any] | QuantizedQueries,
    k: int,
    *,
    embeddings: EmbeddingSource | None = None,
    allow: npt.NDArray[np.bool_] | None = None,
) -> Recall:
    """Measure which share of the exact ``k`` nearest items ``index.search`` finds.

    Args:
        queries: float32 or float16 [Q, D], or int8 codes with their scales.
        embeddings: Those of the items in the order of ``index.ids``, float [items, D]; needed where
            the index keeps none.
        allow: bool [items]: only these are searched, here and there; leave out items that serve as
            queries.

    Raises:
        BadArgument: there are no embeddings, or not one for each item, or nothing can be found.
    """
    source = index.stored_embeddings() if embeddings is None else embeddings
    if source is None:
        raise BadArgument(
            "recall needs embeddings to compare with, and this index keeps none; give those that "
            "it was built from as `embeddings`"
        )
    num_kept = check_count(k)
    query_QD = index.query_contract().prepare(queries, None)
    found_id_QK = index.search(queries, num_kept, allow=allow).ids
    is_allowed_G = np.ones(len(index), np.bool_) if allow is None else allow
    pieces = exact_answers(query_QD, source, num_kept, index.metric, is_allowed_G)
    exact = best_of(pieces, num_kept, index.metric)
    if not (exact.ids >= 0).any():
        raise BadArgument(
            f"recall needs at least one query and one item, got {len(query_QD)} queries and "
            f"{np.count_nonzero(is_allowed_G)} items"
        )
    exact_id_QK = np.where(exact.ids < 0, -1, index.ids[np.maximum(exact.ids, 0)])
    shares = [
        float(np.isin(right[right >= 0], found).mean())
        for found, right in zip(found_id_QK, exact_id_QK, strict=True)
        if (right >= 0).any()
    ]
    return Recall(recall=float(np.mean(shares)), k=num_kept, num_queries=len(shares))


def exact_answers(
    query_QD: npt.NDArray[Any],
    embeddings: EmbeddingSource,
    num_kept: int,
    metric: str,
    is_allowed_G: npt.NDArray[np.bool_],
) -> Iterator[Neighbours]:
    """Yield the exact nearest of each piece by row number, in float64: pieces must not tie."""
    first_row = 0
    for row_ND in Chunks.of(embeddings):
        position_N = np.flatnonzero(is_allowed_G[first_row : first_row + len(row_ND)])
        found = topk(query_QD, row_ND[position_N], num_kept, metric, in_float64=True)
        row_N = np.append(position_N + first_row, -1)  # the id -1 stays what it is
        yield Neighbours(scores=found.scores, ids=row_N[found.ids])
        first_row += len(row_ND)
        if first_row > len(is_allowed_G):
            break
    if first_row != len(is_allowed_G):
        raise BadArgument(
            f"embeddings must have one row for each of the {len(is_allowed_G)} items of the "
            f"index, got {first_row}{' or more' if first_row > len(is_allowed_G) else ''}"
        )
