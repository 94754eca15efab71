"""A bank of views with the gallery network's embedding of each: what query networks learn from.

The gallery network costs far more than the query networks that follow it, so it sees each view
once; supernet, pick and every seed read the bank. It holds embeddings and no pixels: a view is made
again from its number when a step asks for it (reinforced data sets, Faghri et al., ICCV 2023), so
that a bank takes 2 D bytes a view, and the images need not fit in memory.

How views are kept is this file's business alone: everything else sees `Batches`.

Shapes: V views, T training images, N views of a step, S pixels a side, D embedding length. View
number v shows image v mod T: every image once, then every image again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmpc_search.compatibility.base import NO_LABEL, Step
from cmpc_search.errors import BadArgument
from cmpc_search.pixels import to_float
from cmpc_search.training.ahead import StepsAhead, computed_ahead
from cmpc_search.training.batches import Batches, EpochOrder
from cmpc_search.training.compute import CPU, Compute
from cmpc_search.training.embedding_rows import EmbeddingRows
from cmpc_search.training.execution import Execution
from cmpc_search.training.settings import QueryTraining
from cmpc_search.training.view_memory import ViewMemory
from cmpc_search.training.views import ViewMaker

__all__ = ["BATCH_SIZE", "EmbedViews", "ViewBank", "embed_views", "repeat_rows"]

BATCH_SIZE = 256

EmbedViews = Callable[[npt.NDArray[np.uint8], npt.NDArray[np.int64]], npt.NDArray[np.float32]]
"""Takes views uint8 [N, H, H, 3] and the positions of the images that they show, and returns the
gallery's unit embeddings float32 [N, D]."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ViewBank:
    """Views of training images, made when they are asked for.

    Attributes:
        maker: Makes them, as query networks see them.
        gallery_embeddings: float16 [V, D], of unit length, most often a memory map.
        labels: int64 [T], rows of the gallery classifier, or NO_LABEL; None where nobody knows.
        memory: Where views stay once they are made.
    """

    maker: ViewMaker
    gallery_embeddings: npt.NDArray[np.float16]
    labels: Tensor | None
    memory: ViewMemory

    def __len__(self) -> int:
        return len(self.gallery_embeddings)

    def item_ids(self, numbers: Tensor) -> Tensor:
        """int64 [N] -> [N], the training image that each view shows, or shows most of."""
        return numbers % len(self.maker.pictures)

    def labels_of(self, numbers: Tensor) -> Tensor | None:
        """int64 [N] -> [N]; a view of two images has NO_LABEL. None where nobody knows labels."""
        if self.labels is None:
            return None
        labels = self.labels[self.item_ids(numbers)]
        return labels.masked_fill(self.maker.is_mixed(numbers), NO_LABEL)

    def views(self, numbers: Tensor, compute: Compute = CPU) -> Tensor:
        """int64 [N] -> uint8 [N, S, S, 3], on this machine's processor."""
        return self.memory.get(
            numbers, lambda missing: self.maker.make(self.item_ids(missing), missing, compute)
        )

    def batches(self, training: QueryTraining, *, seed: int, compute: Compute = CPU) -> Batches:
        """Return the steps of a training; every view comes at most once an epoch.

        Raises:
            BadArgument: a step wants more views of an image than there are.
        """
        return _BankBatches(self, training, seed=seed, compute=compute)


class _BankBatches:
    """Steps from a bank of views, in groups of views of one image."""

    def __init__(
        self, bank: ViewBank, training: QueryTraining, *, seed: int, compute: Compute
    ) -> None:
        self._bank, self._num_steps, self._compute = bank, training.num_steps, compute
        self._group_size = training.views_per_item
        num_images = len(bank.maker.pictures)
        num_groups = len(bank) // num_images // self._group_size * num_images
        if not num_groups:
            raise BadArgument(
                f"views_per_item must be at most the {len(bank) // num_images} views that there "
                f"are of each image, got {self._group_size}; make more with views_per_image"
            )
        self._new_order = partial(
            EpochOrder,
            batch_size=max(1, training.batch_size // self._group_size),
            seed=seed,
            parts=training.micro_batches,
        )
        self._groups = np.arange(num_groups)
        self._order = self._new_order(num_groups)
        self._first_unmixed = round(training.num_steps * (1 - training.unmixed_share))
        self.num_parts = self._order.num_parts
        parts = compute.parts(self.num_parts)
        self._steps = StepsAhead(self._begun, num_steps=training.num_steps, parts=parts)

    def at(self, number: int, part: int = 0) -> Step:
        return self._steps.at(number, part)

    def _begun(self, number: int, part: int) -> Callable[[], Step]:
        groups = self._order.at(number, part)
        if number >= self._first_unmixed:
            unmixed, order = self._unmixed
            groups = unmixed[order.at(number, part)]
        return partial(self._step, number, self._views_of(groups).flatten())

    def _views_of(self, groups: npt.NDArray[np.int64]) -> Tensor:
        """Return the numbers of the views in each of ``groups``, int64 [n, size]."""
        num_images, size = len(self._bank.maker.pictures), self._group_size
        rows, turns = torch.from_numpy(groups % num_images), torch.from_numpy(groups // num_images)
        return (turns[:, None] * size + torch.arange(size)) * num_images + rows[:, None]

    @cached_property
    def _unmixed(self) -> tuple[npt.NDArray[np.int64], EpochOrder]:
        """The groups without a view of two images, or all where there are too few for a step."""
        views = self._views_of(self._groups)
        is_mixed = self._bank.maker.is_mixed(views.flatten()).view_as(views).any(dim=1)
        unmixed = self._groups[~is_mixed.numpy()]
        if len(unmixed) < self._new_order.keywords["batch_size"]:
            return self._groups, self._order
        return unmixed, self._new_order(len(unmixed))

    def _step(self, number: int, chosen: Tensor) -> Step:
        bank, place = self._bank, self._compute.place
        labels = bank.labels_of(chosen)
        embeddings = torch.from_numpy(bank.gallery_embeddings[chosen.numpy()])
        return Step(
            number=number,
            progress=number / self._num_steps,
            views=place(to_float(bank.views(chosen, self._compute))),
            item_ids=place(bank.item_ids(chosen)),
            labels=None if labels is None else place(labels),
            gallery_embeddings=place(embeddings.float()),
        )


def embed_views(
    rows: EmbeddingRows, maker: ViewMaker, embed: EmbedViews, execution: Execution
) -> None:
    """Embed all views that ``rows`` has no embedding of yet, as ``maker`` makes them.

    A process that is killed leaves what it has embedded, and another goes on there. Batches are
    made and embedded side by side, a thread each: ``embed`` is asked by several at once.
    """
    work = partial(_made_and_embedded, maker, embed, execution.compute)
    for embeddings in computed_ahead(work, _missing(rows)):
        rows.append(embeddings)
        if execution.progress is not None:
            execution.progress(len(rows), rows.num_rows)


def repeat_rows(rows: EmbeddingRows, embeddings: npt.NDArray[np.float32]) -> None:
    """Without a network every view aims at the embedding of its image, float32 [T, D]."""
    for numbers in _missing(rows):
        rows.append(embeddings[(numbers % len(embeddings)).numpy()])


def _missing(rows: EmbeddingRows) -> Iterator[Tensor]:
    """Yield the numbers of the views that have no embedding yet, int64 [N] each."""
    for start in range(len(rows), rows.num_rows, BATCH_SIZE):
        yield torch.arange(start, min(start + BATCH_SIZE, rows.num_rows))


def _made_and_embedded(
    maker: ViewMaker, embed: EmbedViews, compute: Compute, numbers: Tensor
) -> npt.NDArray[np.float32]:
    shown = numbers % len(maker.pictures)
    return embed(maker.make(shown, numbers, compute).numpy(force=True), shown.numpy())
