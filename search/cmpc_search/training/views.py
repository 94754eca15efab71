"""A bank of views with the gallery network's embedding of each: what query networks learn from.

The gallery network costs far more than the query networks that follow it, so it sees each view
once; supernet, pick and every seed read the bank. Some views show two images at once, one in a
rectangle cut out of the other (CutMix, Yun et al., ICCV 2019): no class, but the gallery network
has an opinion on them too, and a query network that agrees with it there agrees with it on classes
that nobody trained on.

Shapes: V views, S pixels a side, D embedding length.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmpc_base.progress import Progress
from cmpc_search.compatibility import Batch
from cmpc_search.compatibility.base import NO_LABEL
from cmpc_search.pixels import resize_images, to_bytes, to_float
from cmpc_search.training.augmentation import Augmentation
from cmpc_search.training.compute import to_layout

__all__ = ["ViewBank", "ViewSettings", "make_views"]

BATCH_SIZE = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewSettings:
    """How many views are made, and of which kind.

    Attributes:
        views_per_image: Views of each training image.
        mixed_share: Share of the views that show two images.
        size_px: Size of the views as the query networks see them.
    """

    views_per_image: int
    mixed_share: float
    size_px: int


@dataclass(frozen=True, slots=True, eq=False)
class ViewBank:
    """uint8 views [V, S, S, 3], labels int64 [V], gallery embeddings float16 [V, D]."""

    views: Tensor
    labels: Tensor
    targets: Tensor

    def draw(self, step: int, batch_size: int, seed: int) -> tuple[Tensor, Batch]:
        """Return the batch of a step: float32 views [N, 3, S, S], and what is known of them.

        Every view comes at most once an epoch, in an order drawn from ``seed`` and the epoch.
        """
        per_epoch = max(1, len(self.views) // batch_size)
        epoch, position = divmod(step, per_epoch)
        order = np.random.default_rng((seed, epoch)).permutation(len(self.views))
        chosen = torch.from_numpy(order[position * batch_size : (position + 1) * batch_size])
        batch = Batch(labels=self.labels[chosen], targets=self.targets[chosen].float())
        return to_layout(to_float(self.views[chosen])), batch


def make_views(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    embed: Callable[[npt.NDArray[np.uint8], npt.NDArray[np.int64]], npt.NDArray[np.float32]],
    settings: ViewSettings,
    *,
    seed: int,
    progress: Progress | None = None,
) -> ViewBank:
    """Return the views of ``images`` uint8 [N, H, H, 3] with ``labels`` int64 [N].

    ``embed`` takes views uint8 [n, H, H, 3] and the positions of the images that they show, and
    returns the gallery's unit embeddings float32 [n, D].
    """
    generator = torch.Generator().manual_seed(seed)
    augment = Augmentation()
    order = torch.arange(len(images)).repeat(settings.views_per_image)
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for start in range(0, len(order), BATCH_SIZE):
        chosen = order[start : start + BATCH_SIZE]
        views = augment(to_float(torch.from_numpy(images[chosen.numpy()])), generator)
        views, is_mixed = _mix(views, settings.mixed_share, generator)
        shown = torch.from_numpy(labels)[chosen].masked_fill(is_mixed, NO_LABEL)
        targets = torch.from_numpy(embed(to_bytes(views), chosen.numpy()))
        small = to_bytes(resize_images(views, settings.size_px))
        parts.append((torch.from_numpy(small), shown, targets.half()))
        if progress is not None:
            progress(min(start + BATCH_SIZE, len(order)), len(order))
    return ViewBank(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _mix(views: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Paste a rectangle of another view into a share of ``views``; tell which."""
    count, _, height, width = views.shape
    is_mixed = torch.rand(count, generator=generator) < share
    others = views[torch.randperm(count, generator=generator)]
    area = torch.rand(count, generator=generator) * 0.5 + 0.2
    side = area.sqrt()
    top = torch.rand(count, generator=generator) * (1 - side) * height
    left = torch.rand(count, generator=generator) * (1 - side) * width
    rows, columns = torch.arange(height)[None, :], torch.arange(width)[None, :]
    in_rows = (rows >= top[:, None]) & (rows < (top + side * height)[:, None])
    in_columns = (columns >= left[:, None]) & (columns < (left + side * width)[:, None])
    is_pasted = in_rows[:, :, None] & in_columns[:, None, :] & is_mixed[:, None, None]
    return torch.where(is_pasted[:, None], others, views), is_mixed
