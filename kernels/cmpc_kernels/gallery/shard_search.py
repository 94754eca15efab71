"""Search many shards: the answer, and about the work, of one index over everything.

    thread 0    shard 0 --its K-th best scores--> shard 1 --those of both--> ... --+
    thread 1    shard 8 ------------------------> shard 9 ...                      +--> K best

A search is slow until it has K good items: from then on few codes reach the K-th best score. So
each shard begins with what those before it found. A thread has a row of shards, unless there are
too few: then all threads go through one shard after the other.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_kernels.gallery.index import GalleryIndex
from cmpc_kernels.gallery.merging import best_of, best_of_two
from cmpc_kernels.nearest.threads import num_useful_threads, run_parts
from cmpc_kernels.records import Neighbours

__all__ = ["search_shards"]

MIN_SHARDS_OF_A_THREAD = 4  # fewer differ too much in size
VALUES_OF_A_WORD = 8  # of rows, in a number of the plane of codes that a search reads first


def search_shards(
    shards: Sequence[GalleryIndex],
    query_QD: npt.NDArray[Any],
    num_kept: int,
    allowed: Sequence[npt.ArrayLike | None],
    num_threads: int | None,
) -> Neighbours:
    """Return the best items of all shards, whose ids ascend, with scores in float64.

    ``allowed`` is what each shard's ``search`` takes as ``allow``.
    """
    num_words = sum(map(len, shards)) * query_QD.size // VALUES_OF_A_WORD
    num_parts = num_useful_threads(num_threads, num_words)
    if len(shards) < num_parts * MIN_SHARDS_OF_A_THREAD:
        num_parts = 1
    found: list[Neighbours] = [nothing(query_QD, num_kept, shards[0].metric)] * num_parts

    def search(part: int, first: int, last: int) -> None:
        for shard, allow in zip(shards[first:last], allowed[first:last], strict=True):
            before = found[part]
            more = shard.search_unrounded(
                query_QD,
                num_kept,
                allow=allow,
                num_threads=num_threads if num_parts == 1 else 1,
                floor=before.scores[:, -1].astype(np.float64, copy=False),
            )
            if (more.ids >= 0).any():
                found[part] = best_of_two(before, more, num_kept, shard.metric)

    run_parts(search, len(shards), num_parts)
    return best_of(found, num_kept, shards[0].metric)


def nothing(query_QD: npt.NDArray[Any], num_kept: int, metric: str) -> Neighbours:
    """Return the answer of no items."""
    shape = (len(query_QD), num_kept)
    worst = np.inf if metric == "l2" else -np.inf
    return Neighbours(scores=np.full(shape, worst), ids=np.full(shape, -1))
