"""How well a query network retrieves: M(q, q), M(q, g) and M(g, g) on one split's classes.

The names are those of CMP-NAS (Duggal et al., CVPR 2021): the first letter is the network that
embeds the queries, the second the one that embeds the gallery.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmpc_search.data import ImageSet
from cmpc_search.evaluation.base import LabelledRows, Protocol, ProtocolResult
from cmpc_search.evaluation.open_set import OpenSet
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.study.records import Accuracy
from cmpc_search.training.embedding import embed_images

__all__ = ["OPEN_SET", "BothWays", "Side", "accuracy_of", "evaluate_both_ways"]

Rows = npt.NDArray[np.float32]

OPEN_SET = OpenSet()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BothWays:
    """What a query network finds in a gallery of its own, M(q, q), and in the other's, M(q, g)."""

    homogeneous: ProtocolResult
    heterogeneous: ProtocolResult


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """The images of one split and role."""

    image_set: ImageSet
    split: str
    role: str

    @property
    def positions(self) -> npt.NDArray[np.int64]:
        return self.image_set.select(split=self.split, role=self.role)

    def labelled(self, rows: Rows) -> LabelledRows:
        """Return the embeddings float32 [n, D] of these images with what is known of each."""
        return LabelledRows(
            embeddings=rows,
            labels=self.image_set.labels[self.positions],
            label_names=self.image_set.class_names,
            groups=self.image_set.groups_of(self.positions),
        )

    def chosen_from(self, rows: Rows) -> LabelledRows:
        """Do the same with the embeddings float32 [N, D] of the whole set."""
        return self.labelled(rows[self.positions])

    def embedded(self, network: PlanNetwork) -> LabelledRows:
        """Do the same with the embeddings that ``network`` gives."""
        return self.labelled(embed_images(network, self.image_set.images[self.positions]))


def evaluate_both_ways(
    network: PlanNetwork,
    image_set: ImageSet,
    split: str,
    gallery_rows: Rows,
    protocol: Protocol = OPEN_SET,
) -> BothWays:
    """Return what is behind M(q, q) and M(q, g) of ``network``.

    ``gallery_rows`` are the gallery network's embeddings float32 [N, D] of the whole set.
    """
    gallery = Side(image_set, split, "gallery")
    queries = Side(image_set, split, "query").embedded(network)
    return BothWays(
        homogeneous=protocol.evaluate(queries, gallery.embedded(network)),
        heterogeneous=protocol.evaluate(queries, gallery.chosen_from(gallery_rows)),
    )


def accuracy_of(result: ProtocolResult) -> Accuracy:
    """Return the means over the queries that have something to find."""
    ranks = result.ranks
    top1, top10 = ranks.cmc([1, 10])
    return Accuracy(
        top1=top1,
        top10=top10,
        mean_average_precision=ranks.mean_average_precision,
        num_queries=len(ranks.query_ids),
        num_excluded=ranks.num_excluded,
    )
