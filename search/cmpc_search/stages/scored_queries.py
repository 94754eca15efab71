"""Which queries of the test classes are scored, and what would answering at random give?"""

from collections import Counter

import numpy as np
import numpy.typing as npt

from cmpc_kernels import QueryRanks
from cmpc_search.data import ImageSet
from cmpc_search.runs.evaluation import ScoredQueries

__all__ = ["scored_names", "scored_queries"]

SPLIT = "test"

Positions = npt.NDArray[np.int64]


def scored_names(image_set: ImageSet, ranks: QueryRanks) -> tuple[str, ...]:
    """Return the item names of the queries that were ranked."""
    queries = image_set.select(split=SPLIT, role="query")
    return tuple(image_set.item_names[position] for position in queries[ranks.query_ids])


def scored_queries(image_set: ImageSet, ranks: QueryRanks) -> ScoredQueries:
    """Count the queries that were ranked, and those that had nothing to find."""
    asked = image_set.select(split=SPLIT, role="query")
    gallery = image_set.select(split=SPLIT, role="gallery")
    scored = asked[ranks.query_ids]
    num_classes = len(np.unique(image_set.labels[scored]))
    return ScoredQueries(
        num_classes=num_classes,
        num_queries=len(scored),
        num_gallery=len(gallery),
        num_excluded_classes=len(np.unique(image_set.labels[asked])) - num_classes,
        num_excluded=ranks.num_excluded,
        chance_top1=_chance(image_set, scored, gallery),
    )


def _chance(image_set: ImageSet, queries: Positions, gallery: Positions) -> float:
    """Return the mean share of the items that count for a query which are of its class."""
    labels = image_set.labels
    num_right = np.bincount(labels[gallery], minlength=image_set.num_classes)[labels[queries]]
    if image_set.groups is None:
        return float(num_right.mean() / len(gallery))
    num_ignored = _num_of_own_group(image_set, queries, gallery)
    return float(((num_right - num_ignored) / (len(gallery) - num_ignored)).mean())


def _num_of_own_group(image_set: ImageSet, queries: Positions, gallery: Positions) -> Positions:
    """Return for each query how many items of its class are of its group too."""

    def pairs(positions: Positions) -> list[tuple[int, str]]:
        groups = image_set.groups_of(positions) or ()
        return list(zip(image_set.labels[positions].tolist(), groups, strict=True))

    num_items = Counter(pairs(gallery))
    return np.array([num_items[pair] for pair in pairs(queries)], np.int64)
