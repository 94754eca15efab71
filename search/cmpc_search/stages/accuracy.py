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
from cmpc_search.training.embedding import embed_batches, image_batches

__all__ = ["OPEN_SET", "BothWays", "Side", "embed_at", "evaluate_both_ways", "labelled_rows"]

Rows = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]

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
    def positions(self) -> Positions:
        return self.image_set.select(split=self.split, role=self.role)

    def chosen_from(self, rows: Rows) -> LabelledRows:
        """Return these images' embeddings out of those of the whole set, float32 [N, D]."""
        return labelled_rows(self.image_set, self.positions, rows[self.positions])

    def embedded(self, network: PlanNetwork) -> LabelledRows:
        """Return the embeddings that ``network`` gives of them."""
        rows = embed_at(network, self.image_set, self.positions)
        return labelled_rows(self.image_set, self.positions, rows)


def labelled_rows(image_set: ImageSet, positions: Positions, rows: Rows) -> LabelledRows:
    """Return embeddings float32 [n, D] of the images at ``positions``, with what they show."""
    return LabelledRows(
        embeddings=rows,
        labels=image_set.labels[positions],
        label_names=image_set.class_names,
        groups=image_set.groups_of(positions),
    )


def embed_at(network: PlanNetwork, image_set: ImageSet, positions: Positions) -> Rows:
    """Return the embeddings float32 [n, D] of the images at ``positions``, read batch by batch."""
    return embed_batches(network, image_batches(image_set.images, positions))


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
