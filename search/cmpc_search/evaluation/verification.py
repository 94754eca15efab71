"""1:1 verification: at a threshold that lets few impostors pass, how many genuine pairs pass it?

Each query is compared with each gallery item; a pair of one label is genuine, any other an
impostor. This is the true accept rate at a false accept rate of face recognition, as IJB-C reports
it (Maze et al., ICB 2018), on single images: averaging the images of a template comes before.
"""

from cmpc_kernels import verification_rates
from cmpc_search.evaluation.base import LabelledRows, Protocol, ProtocolResult
from cmpc_search.evaluation.pairs import common_labels, ignored_pairs, rank_queries

__all__ = ["FALSE_ACCEPT_RATES", "Verification"]

FALSE_ACCEPT_RATES = {"tar_at_far_1e-2": 1e-2, "tar_at_far_1e-3": 1e-3, "tar_at_far_1e-4": 1e-4}
"""The false accept rate that each metric allows."""


class Verification(Protocol):
    """All pairs of a query and a gallery item."""

    def evaluate(self, queries: LabelledRows, gallery: LabelledRows) -> ProtocolResult:
        """Return the true accept rate at each of `FALSE_ACCEPT_RATES`.

        A rate that fewer than one impostor pair would make up lets none pass.
        """
        query_labels, gallery_labels = common_labels(queries, gallery)
        rates = verification_rates(
            queries.embeddings,
            gallery.embeddings,
            query_labels,
            gallery_labels,
            false_accept_rates=tuple(FALSE_ACCEPT_RATES.values()),
            ignored=ignored_pairs(queries, gallery),
        )
        found = zip(FALSE_ACCEPT_RATES, rates, strict=True)
        metrics = {name: rate.true_accept_rate for name, rate in found}
        return ProtocolResult(metrics=metrics, ranks=rank_queries(queries, gallery))
