"""Retrieval by one label: does a query find its class among all images of the gallery?

Ranked by cosine over the whole gallery; whether the classes are new to the networks is decided by
the split that the rows come from. These are the accuracies of CMP-NAS (Duggal et al., CVPR 2021):
top-1, top-10 and mean average precision over the queries that have something to find.
"""

from cmpc_search.evaluation.base import LabelledRows, Protocol, ProtocolResult
from cmpc_search.evaluation.pairs import rank_queries

__all__ = ["OpenSet"]


class OpenSet(Protocol):
    """Queries and gallery images of one set of classes, one label each."""

    def evaluate(self, queries: LabelledRows, gallery: LabelledRows) -> ProtocolResult:
        """Return ``top1``, ``top10`` and ``map``."""
        ranks = rank_queries(queries, gallery)
        top1, top10 = ranks.cmc([1, 10])
        metrics = {"top1": top1, "top10": top10, "map": ranks.mean_average_precision}
        return ProtocolResult(metrics=metrics, ranks=ranks)
