"""Labels of two sides in one numbering, and the pairs of them that do not count.

Two sides may number the same classes differently: what they have in common is names.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cmpc_kernels import IgnoredPairs, QueryRanks, rank_right_items
from cmpc_search.errors import BadArgument
from cmpc_search.evaluation.base import LabelledRows

__all__ = ["common_labels", "ignored_pairs", "rank_queries"]

Labels = npt.NDArray[np.int64]


def rank_queries(queries: LabelledRows, gallery: LabelledRows) -> QueryRanks:
    """Return where each query has the items of its label, in the ranking of the whole gallery.

    Queries whose label no gallery item has are not ranked, and counted in ``num_excluded``.

    Raises:
        BadArgument: no query has anything to find.
    """
    query_labels, gallery_labels = common_labels(queries, gallery)
    return rank_right_items(
        queries.embeddings,
        gallery.embeddings,
        query_labels,
        gallery_labels,
        ignored=ignored_pairs(queries, gallery),
    )


def common_labels(queries: LabelledRows, gallery: LabelledRows) -> tuple[Labels, Labels]:
    """Return the labels int64 [N] of both sides, equal where their names are; -1 stays -1."""
    if queries.label_names == gallery.label_names:
        return queries.labels, gallery.labels
    numbers = _numbered((*queries.label_names, *gallery.label_names))
    number_of_name = np.split(numbers, [len(queries.label_names)])
    queries_of, gallery_of = (np.append(one, -1) for one in number_of_name)  # -1 takes the last
    return queries_of[queries.labels], gallery_of[gallery.labels]


def ignored_pairs(queries: LabelledRows, gallery: LabelledRows) -> IgnoredPairs | None:
    """Return the pairs of one item, and those of one label and group; None where there are none.

    Raises:
        BadArgument: only one side says what its items or groups are, or an item comes twice.
    """
    for name in ("item_ids", "groups"):
        if (getattr(queries, name) is None) != (getattr(gallery, name) is None):
            raise BadArgument(f"{name} must be given for queries and gallery, or for neither")
    own_items = query_groups = gallery_groups = None
    if queries.item_ids is not None and gallery.item_ids is not None:
        own_items = _positions(queries.item_ids, gallery.item_ids)
    if queries.groups is not None and gallery.groups is not None:
        numbers = _numbered((*queries.groups, *gallery.groups))
        query_groups, gallery_groups = np.split(numbers, [len(queries)])
    if own_items is None and query_groups is None:
        return None
    return IgnoredPairs(
        own_items=own_items, query_cameras=query_groups, gallery_cameras=gallery_groups
    )


def _positions(wanted: Sequence[str], item_ids: Sequence[str]) -> Labels:
    """Return where each wanted item is among ``item_ids``, -1 where it is not."""
    position_of = {item: position for position, item in enumerate(item_ids)}
    if len(position_of) < len(item_ids):
        raise BadArgument("item_ids of a gallery must be unique, got one twice")
    return np.array([position_of.get(item, -1) for item in wanted], np.int64)


def _numbered(names: Sequence[str]) -> Labels:
    """Return a number for each name, equal for equal names."""
    number_of: dict[str, int] = {}
    return np.array([number_of.setdefault(name, len(number_of)) for name in names], np.int64)
