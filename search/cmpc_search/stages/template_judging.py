"""Judge templates: rows of the test images of a set, told which of them make one.

Both networks embed all test images, since each template may be either part of a listed pair.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cmpc_search.data import ImageSet, TemplateLists
from cmpc_search.evaluation.base import LabelledRows, ProtocolResult, TemplateRows
from cmpc_search.evaluation.templates import Templates
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.stages.accuracy import BothWays, embed_at, labelled_rows
from cmpc_search.stages.scored_queries import SPLIT

__all__ = ["TemplateJudge", "template_items"]

Rows = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TemplateJudge:
    """Judges networks on the templates of one set.

    Attributes:
        templates: Of the images of ``image_set``, in their order.
        gallery_rows: The gallery network's embeddings float32 [N, D].
    """

    image_set: ImageSet
    templates: TemplateLists
    gallery_rows: Rows

    def paragon(self) -> ProtocolResult:
        """M(g, g)."""
        own = self._by_gallery()
        return Templates().evaluate(own, own)

    def both_ways(self, network: PlanNetwork, own_size: ImageSet) -> BothWays:
        """M(q, q) and M(q, g); ``own_size`` are the same images at the network's size."""
        positions = own_size.select(split=SPLIT)
        own = self._of_templates(embed_at(network, own_size, positions))
        return BothWays(
            homogeneous=Templates().evaluate(own, own),
            heterogeneous=Templates().evaluate(own, self._by_gallery()),
        )

    def _by_gallery(self) -> LabelledRows:
        return self._of_templates(self.gallery_rows[self.image_set.select(split=SPLIT)])

    def _of_templates(self, rows: Rows) -> LabelledRows:
        positions, lists = self.image_set.select(split=SPLIT), self.templates
        known = TemplateRows(
            template_ids=lists.template_ids[positions],
            media_ids=lists.media_ids[positions],
            galleries=lists.galleries[positions],
            pairs=lists.pairs,
        )
        return replace(labelled_rows(self.image_set, positions, rows), templates=known)


def template_items(image_set: ImageSet, templates: TemplateLists) -> ImageSet:
    """Return the first image of each template in its place, in the order in which they rank."""
    positions = image_set.select(split=SPLIT)
    ids, first = np.unique(templates.template_ids[positions], return_index=True)
    return replace(
        image_set.subset(positions[first]),
        item_names=tuple(f"template {number}" for number in ids),
    )
