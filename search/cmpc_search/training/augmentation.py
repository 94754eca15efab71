"""Random views of images, made in batches on the tensors themselves.

An image may be turned, scaled, moved, stretched, mirrored, drained of colour and have its channels
gained: what keeps two drawings of one thing the same thing. New corners are white, as everywhere in
cmpc (transparent images are composited on white).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Augmentation", "shares"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """How far views may differ from their image.

    Attributes:
        max_turn_degrees: Rotation, either way.
        max_scale: Zoom by a factor between ``1 / max_scale`` and ``max_scale``.
        max_stretch: The same for the ratio of width to height.
        max_shift: Shift as a share of the image's side, either way.
        mirror_share, grey_share: Share of the views that are mirrored, or drained of colour.
        max_gain: Each colour channel is gained by up to this share, either way.
    """

    max_turn_degrees: float = 8.0
    max_scale: float = 1.15
    max_stretch: float = 1.08
    max_shift: float = 0.06
    mirror_share: float = 0.0
    grey_share: float = 0.1
    max_gain: float = 0.2

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """float32 [N, 3, H, W] in [0, 1] -> one view of each, same shape and range.

        The generator is on the device of the images.
        """
        views = self._warp(images, generator)
        return self._recolour(views, generator)

    def _warp(self, images: Tensor, generator: torch.Generator) -> Tensor:
        grid = functional.affine_grid(
            self._matrices(len(images), generator), list(images.shape), align_corners=False
        )
        # Sampled as ink on white, so that what lies outside, zero, comes out white.
        ink = functional.grid_sample(1 - images, grid, padding_mode="zeros", align_corners=False)
        return 1 - ink

    def _matrices(self, count: int, generator: torch.Generator) -> Tensor:
        """float32 [N, 2, 3]: from a view's coordinates to its image's."""

        def uniform(limit: float) -> Tensor:
            return (shares(generator, count) * 2 - 1) * limit

        turn = uniform(math.radians(self.max_turn_degrees))
        scale = torch.exp(uniform(math.log(self.max_scale)))
        stretch = torch.exp(uniform(math.log(self.max_stretch) / 2))
        mirrored = shares(generator, count) < self.mirror_share
        side = torch.where(mirrored, -1.0, 1.0)
        across, down = side * scale * stretch, scale / stretch
        # affine_grid's unit is half the side, so a shift of a share s is 2 s.
        shift_x, shift_y = uniform(2 * self.max_shift), uniform(2 * self.max_shift)
        top = torch.stack((across * turn.cos(), -down * turn.sin(), shift_x), dim=1)
        bottom = torch.stack((across * turn.sin(), down * turn.cos(), shift_y), dim=1)
        return torch.stack((top, bottom), dim=1)

    def _recolour(self, views: Tensor, generator: torch.Generator) -> Tensor:
        count = len(views)
        drained = shares(generator, count, 1, 1, 1) < self.grey_share
        views = torch.where(drained, views.mean(dim=1, keepdim=True), views)
        gain = 1 + (shares(generator, count, 3, 1, 1) * 2 - 1) * self.max_gain
        return 1 - ((1 - views) * gain).clamp_(0, 1)  # white paper stays white


def shares(generator: torch.Generator, *shape: int) -> Tensor:
    """Draw float32 numbers evenly from [0, 1), on the device of the generator."""
    return torch.rand(*shape, generator=generator, device=generator.device)
