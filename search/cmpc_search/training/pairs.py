"""Batches of pairs: two augmented images of each of a step's classes, one of each role.

An image of no known class can be a class of its own, where the data have it in several styles: the
query side sees it in one of them and the gallery side in another.

Further data sets bring other pictures of the training classes, and other classes (``pair_lists``).

Two pairs can be joined: the same part of the one is pasted into both views of the other. That makes
a thing which is of no class, seen from both sides, and the contrast between them learns from it.

Shapes: B classes of a step, S pixels a side.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmpc_search.compatibility.base import NO_LABEL, Step
from cmpc_search.data import ImageSet
from cmpc_search.pixels import to_float
from cmpc_search.training.ahead import StepsAhead
from cmpc_search.training.batches import EpochOrder
from cmpc_search.training.compute import Compute
from cmpc_search.training.draws import Draws
from cmpc_search.training.mixing import Mixing
from cmpc_search.training.pair_lists import ROLES, Pair, list_pairs
from cmpc_search.training.settings import GalleryTraining
from cmpc_search.training.views import ANY_STYLE, ViewMaker

__all__ = ["PairBatches"]

# Added to the seed of the views: for which images of a class are shown, in which styles, and which
# pairs are joined.
PICKING, STYLING, JOINING = 1, 2, 3
PASTED = Mixing()


class PairBatches:
    """2 B views a step, those of query roles first.

    Attributes:
        listed: All pairs, and how many classes of each kind they are of.

    Args:
        image_set: Says which images are whose.
        views: Makes views of all images of ``image_set``, then of ``further``, read where they are.
        further: Data sets that show training classes, too.

    Raises:
        BadData: fewer than two training classes have images of both roles.
    """

    def __init__(
        self,
        image_set: ImageSet,
        training: GalleryTraining,
        views: ViewMaker,
        compute: Compute,
        further: Sequence[ImageSet] = (),
    ) -> None:
        self._views, self._compute, self._num_steps = views, compute, training.num_steps
        self._joined_share = training.joined_share
        with_instances = training.instance_classes and self._has_styles
        self.listed = list_pairs(
            image_set,
            further,
            with_instances=with_instances,
            further_share=training.further_share,
        )
        self._batch_size = min(training.classes_per_batch, len(self.listed.pairs))
        self._order = EpochOrder(
            len(self.listed.pairs),
            self._batch_size,
            seed=views.recipe.seed,
            parts=training.micro_batches,
        )
        self.num_parts = self._order.num_parts
        parts = compute.parts(self.num_parts)
        self._steps = StepsAhead(self._begun, num_steps=training.num_steps, parts=parts)

    def at(self, number: int, part: int = 0) -> Step:
        return self._steps.at(number, part)

    def _begun(self, number: int, part: int) -> Callable[[], Step]:
        places = np.arange(self._batch_size)[part :: self.num_parts]
        chosen = [self.listed.pairs[one] for one in self._order.at(number, part)]
        return partial(self._step, number, chosen, self._numbers(number, places))

    def _step(self, number: int, chosen: list[Pair], numbers: Tensor) -> Step:
        place = self._compute.place
        items = self._picked(chosen, numbers)
        labels = torch.tensor([pair.label for pair in chosen]).repeat(2)
        styles = torch.where(labels < self._first_instance, ANY_STYLE, self._two_styles(numbers))
        views = to_float(self._views.make(items, numbers, self._compute, styles=styles))
        views, is_joined = self._joined(views, numbers)
        return Step(
            number=number,
            progress=number / self._num_steps,
            views=place(views),
            item_ids=place(items),
            labels=place(labels.masked_fill(is_joined, NO_LABEL)),
        )

    def _joined(self, views: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """float32 [2 B, 3, S, S] -> the same with some pairs joined to their neighbour, and which.

        Both sides draw by the number of their pair, so they lose the same part.
        """
        is_joined = self._joining(numbers).happens(self._joined_share).repeat(2)
        if not self._joined_share:
            return views, is_joined
        sides = [
            PASTED(side, side.roll(1, dims=0), self._joining(numbers)) for side in views.chunk(2)
        ]
        return torch.where(is_joined[:, None, None, None], torch.cat(sides), views), is_joined

    def _joining(self, numbers: Tensor) -> Draws:
        return Draws(self._views.recipe.seed + JOINING, numbers.chunk(2)[0])

    def _numbers(self, step: int, places: npt.NDArray[np.int64]) -> Tensor:
        """int64 [2 B], the numbers of the views: all others have others."""
        first = step * len(ROLES) * self._batch_size
        return torch.from_numpy(
            np.concatenate([first + role * self._batch_size + places for role in range(len(ROLES))])
        )

    def _picked(self, chosen: list[Pair], numbers: Tensor) -> Tensor:
        """int64 [2 B], an image for each side of each pair."""
        shares = Draws(self._views.recipe.seed + PICKING, numbers).uniform().view(2, -1)
        picked = [_pick(pair, *two) for pair, two in zip(chosen, shares.T.tolist(), strict=True)]
        return torch.tensor(picked).T.flatten()

    @property
    def _first_instance(self) -> int:
        return self.listed.num_labels - self.listed.num_instances

    @property
    def _has_styles(self) -> bool:
        return len(self._views.pictures.sources) > 1

    def _two_styles(self, numbers: Tensor) -> Tensor:
        """int64 [2 B], for each class one style on the query side and another on the other."""
        num_styles = len(self._views.pictures.sources)
        draws = Draws(self._views.recipe.seed + STYLING, numbers)
        first, _ = draws.below(num_styles).chunk(2)
        _, further = draws.below(max(1, num_styles - 1)).chunk(2)
        return torch.cat((first, (first + 1 + further) % num_styles))


def _pick(pair: Pair, query_share: float, partner_share: float) -> tuple[int, int]:
    """Return the positions of two images; of one pool they are two, where it has as many."""
    at, size = int(query_share * len(pair.queries)), len(pair.partners)
    if pair.is_of_one_pool:
        partner = (at + 1 + int(partner_share * (size - 1))) % size
    else:
        partner = int(partner_share * size)
    return int(pair.queries[at]), int(pair.partners[partner])
