"""Judge query networks on the validation classes: all that a search knows of how good they are.

    validation queries, each in some views --network--> rows --+--> M(q, q), M(q, g)
    gallery images of validation classes, and of the           |
    training classes beside them: the distractors -------------'
    the gallery network's rows of the same queries -----------------> cosine

A query is asked as it is and in mild warps, and its outcomes are averaged, which takes away the
chance of one view. How sure a mean is still depends on the number of queries: see
`cmpc_search.evaluation.outcomes`. Whatever is compared is asked the same views.

Shapes: Q queries, V views of each, D embedding length.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmpc_kernels import QueryRanks
from cmpc_search.data import ImageSet
from cmpc_search.evaluation.outcomes import outcomes_of
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.pixels import resize_images
from cmpc_search.stages.accuracy import OPEN_SET, embed_at, labelled_rows
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.study.records import Accuracy
from cmpc_search.study.rewards.base import RewardFacts
from cmpc_search.training.augmentation.drawing import Drawing
from cmpc_search.training.draws import Draws
from cmpc_search.training.embedding import embed_batches, image_batches

__all__ = ["Judged", "ValidationJudge"]

Rows = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]

SPLIT = "validation"
MILD = Drawing(
    supersampling=1,
    max_turn_degrees=4.0,
    max_scale=1.08,
    max_stretch=1.04,
    max_shift=0.03,
    grey_share=0.0,
    max_gain=0.1,
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Judged:
    """What a query network found for each view of each validation query.

    Attributes:
        homogeneous, heterogeneous: Ranks of all queries in their first view, then in the next.
        cosines: float32 [Q], to the gallery network's embedding; means over the views.
    """

    homogeneous: QueryRanks
    heterogeneous: QueryRanks
    cosines: Rows
    num_views: int
    num_distractors: int

    def outcomes(self) -> npt.NDArray[np.float64]:
        """Return what `outcomes_of` says of M(q, g), float64 [Q, 4]."""
        return outcomes_of(self.heterogeneous, num_views=self.num_views)

    @property
    def own(self) -> Accuracy:
        """M(q, q)."""
        return self._accuracy(self.homogeneous)

    @property
    def across(self) -> Accuracy:
        """M(q, g)."""
        return self._accuracy(self.heterogeneous)

    @property
    def cosine(self) -> float:
        return float(self.cosines.mean())

    def _accuracy(self, ranks: QueryRanks) -> Accuracy:
        outcomes_Q4 = outcomes_of(ranks, num_views=self.num_views)
        top1, top10, average_precision, reciprocal_rank = outcomes_Q4.mean(axis=0).tolist()
        return Accuracy(
            top1=top1,
            top10=top10,
            mean_average_precision=average_precision,
            mean_reciprocal_rank=reciprocal_rank,
            num_queries=len(outcomes_Q4),
            num_excluded=ranks.num_excluded // self.num_views,
            num_distractors=self.num_distractors,
            num_views=self.num_views,
        )


class ValidationJudge:
    """Judges networks of one search, each on images of the size that it reads."""

    def __init__(self, material: SearchMaterial) -> None:
        image_set, distractors = material.image_set, material.distractors
        self._material = material
        self._queries = image_set.select(split=SPLIT, role="query")
        # Distractors come first: one that scores the same as a right item stands before it.
        own = image_set.select(split=SPLIT, role="gallery")
        self._gallery = np.concatenate([distractors, own])
        self._num_distractors = len(distractors)

    def judge(self, network: PlanNetwork) -> Judged:
        """Return what ``network`` finds among the validation classes and the distractors."""
        image_set = self._material.images_at(network.plan.image.size_px)
        num_views = self._material.settings.views_per_query
        asked = np.tile(self._queries, num_views)
        rows = embed_batches(network, self._views(image_set, num_views))
        queries = labelled_rows(image_set, asked, rows)
        own_rows = embed_at(network, image_set, self._gallery)
        gallery_rows = self._material.gallery_rows
        own = labelled_rows(image_set, self._gallery, own_rows)
        across = labelled_rows(image_set, self._gallery, gallery_rows[self._gallery])
        return Judged(
            homogeneous=OPEN_SET.evaluate(queries, own).ranks,
            heterogeneous=OPEN_SET.evaluate(queries, across).ranks,
            cosines=_cosines(rows, gallery_rows[asked], num_views),
            num_views=num_views,
            num_distractors=self._num_distractors,
        )

    def facts(self, network: PlanNetwork) -> RewardFacts:
        """Return what a reward may be made of."""
        found = self.judge(network)
        return RewardFacts(
            homogeneous=found.own,
            heterogeneous=found.across,
            cosine=found.cosine,
            metric=self._material.settings.metric,
        )

    def _views(self, image_set: ImageSet, num_views: int) -> Iterator[Tensor]:
        """Yield all queries as they are, then warped: large, and then shrunk, so that they stay
        sharp where the space has larger inputs than this one.
        """
        yield from image_batches(image_set.images, self._queries)
        for number in range(1, num_views):
            first = 0
            for batch in image_batches(self._material.image_set.images, self._queries):
                draws = Draws(number, torch.arange(first, first + len(batch)))
                yield resize_images(MILD(batch, draws, batch.shape[-1]), image_set.size_px)
                first += len(batch)


def _cosines(rows: Rows, gallery_rows: Rows, num_views: int) -> Rows:
    """Return the mean cosine over a query's views, float32 [Q], of unit rows [V x Q, D]."""
    cosines_VQ = (rows * gallery_rows).sum(axis=1).reshape(num_views, -1)
    means: Rows = cosines_VQ.mean(axis=0)
    return means
