"""A bank of views with the gallery network's embedding of each: what query networks learn from.

The gallery network costs far more than the query networks that follow it, so it sees each view
once; supernet, pick and every seed read the bank. Some views show two images at once, one in a
rectangle cut out of the other (CutMix, Yun et al., ICCV 2019): no class, but the gallery network
has an opinion on them too, and a query network that agrees with it there agrees with it on classes
that nobody trained on.

How views are kept is this file's business alone: everything else sees `Batches`.

Shapes: V views, T training images, N views of a step, S pixels a side, D embedding length.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cmpc_base.files import replacing
from cmpc_search.compatibility.base import NO_LABEL, Step
from cmpc_search.pixels import resize_images, to_bytes, to_float
from cmpc_search.training.augmentation import Augmentation, shares
from cmpc_search.training.batches import Batches, EpochOrder
from cmpc_search.training.compute import CPU, Compute
from cmpc_search.training.execution import Execution
from cmpc_search.training.settings import QueryTraining

__all__ = ["EmbedViews", "ViewBank", "ViewSettings", "make_views", "read_views", "write_views"]

BATCH_SIZE = 256

EmbedViews = Callable[[npt.NDArray[np.uint8], npt.NDArray[np.int64]], npt.NDArray[np.float32]]
"""Takes views uint8 [N, H, H, 3] and the positions of the images that they show, and returns the
gallery's unit embeddings float32 [N, D]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewSettings:
    """How many views are made, and of which kind.

    Attributes:
        views_per_image: Views of each training image.
        mixed_share: Share of the views that show two images.
        size_px: Size of the views as the query networks see them.
        seed: Decides all that is drawn.
    """

    views_per_image: int
    mixed_share: float
    size_px: int
    seed: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ViewBank:
    """Views of training images, kept as pixels.

    Attributes:
        views: uint8 [V, S, S, 3].
        item_ids: int64 [V], the training image that a view shows, or shows most of.
        labels: int64 [V], rows of the gallery classifier, or NO_LABEL; None where nobody knows.
        gallery_embeddings: float16 [V, D], of unit length.
    """

    views: Tensor
    item_ids: Tensor
    labels: Tensor | None
    gallery_embeddings: Tensor

    def batches(self, training: QueryTraining, *, seed: int, compute: Compute = CPU) -> Batches:
        """Return the steps of a training; every view comes at most once an epoch."""
        return _BankBatches(self, training, seed=seed, compute=compute)


class _BankBatches:
    """Steps from a bank of views."""

    def __init__(
        self, bank: ViewBank, training: QueryTraining, *, seed: int, compute: Compute
    ) -> None:
        self._bank, self._num_steps, self._compute = bank, training.num_steps, compute
        self._order = EpochOrder(
            len(bank.views), training.batch_size, seed=seed, parts=training.micro_batches
        )
        self.num_parts = self._order.num_parts

    def at(self, number: int, part: int = 0) -> Step:
        bank, place = self._bank, self._compute.place
        chosen = torch.from_numpy(self._order.at(number, part))
        return Step(
            number=number,
            progress=number / self._num_steps,
            views=place(to_float(bank.views[chosen])),
            item_ids=place(bank.item_ids[chosen]),
            labels=None if bank.labels is None else place(bank.labels[chosen]),
            gallery_embeddings=place(bank.gallery_embeddings[chosen].float()),
        )


def make_views(
    images: npt.NDArray[np.uint8],
    labels: Tensor | None,
    embed: EmbedViews,
    settings: ViewSettings,
    execution: Execution,
) -> ViewBank:
    """Return the views of ``images`` uint8 [T, H, H, 3] with ``labels`` int64 [T], if there are."""
    compute = execution.compute
    generator = compute.generator(settings.seed)
    augment = Augmentation()
    order = np.tile(np.arange(len(images)), settings.views_per_image)
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for start in range(0, len(order), BATCH_SIZE):
        chosen = order[start : start + BATCH_SIZE]
        shown = compute.place(to_float(torch.from_numpy(images[chosen])))
        views, is_mixed = _mix(augment(shown, generator), settings.mixed_share, generator)
        embeddings = torch.from_numpy(embed(to_bytes(views), chosen)).half()
        small = torch.from_numpy(to_bytes(resize_images(views, settings.size_px)))
        parts.append((small, CPU.place(is_mixed), embeddings))
        if execution.progress is not None:
            execution.progress(min(start + BATCH_SIZE, len(order)), len(order))
    views, is_mixed, embeddings = (torch.cat(column) for column in zip(*parts, strict=True))
    item_ids = torch.from_numpy(order)
    return ViewBank(
        views=views,
        item_ids=item_ids,
        labels=None if labels is None else labels[item_ids].masked_fill(is_mixed, NO_LABEL),
        gallery_embeddings=embeddings,
    )


def _mix(views: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Paste a rectangle of another view into a share of ``views``; tell which."""
    (count, _, height, width), device = views.shape, views.device
    is_mixed = shares(generator, count) < share
    others = views[torch.randperm(count, generator=generator, device=device)]
    area = shares(generator, count) * 0.5 + 0.2
    side = area.sqrt()
    top = shares(generator, count) * (1 - side) * height
    left = shares(generator, count) * (1 - side) * width
    rows = torch.arange(height, device=device)[None, :]
    columns = torch.arange(width, device=device)[None, :]
    in_rows = (rows >= top[:, None]) & (rows < (top + side * height)[:, None])
    in_columns = (columns >= left[:, None]) & (columns < (left + side * width)[:, None])
    is_pasted = in_rows[:, :, None] & in_columns[:, None, :] & is_mixed[:, None, None]
    return torch.where(is_pasted[:, None], others, views), is_mixed


def read_views(path: Path) -> ViewBank:
    """Return the bank that `write_views` kept.

    Raises:
        OSError, SafetensorError, TypeError: there is none, or it is damaged or of another version.
    """
    tensors = load_file(path)
    labels = tensors.pop("labels", None)
    return ViewBank(labels=labels, **tensors)


def write_views(path: Path, bank: ViewBank) -> None:
    """Keep a bank in a file."""
    tensors = {
        "views": bank.views,
        "item_ids": bank.item_ids,
        "gallery_embeddings": bank.gallery_embeddings,
    }
    if bank.labels is not None:
        tensors["labels"] = bank.labels
    with replacing(path) as file:
        save_file(tensors, file.name)  # by name: as bytes they would be in memory twice
