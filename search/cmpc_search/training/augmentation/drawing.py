"""Views of drawings on white paper: what keeps two drawings of one thing the same thing.

A drawing may be turned, scaled, moved, stretched, mirrored and bent; its inks may be gained,
drained of colour or given another hue, and its black lines another ink; parts may be missing. White
paper stays white, as everywhere in cmpc (transparent images are composited on white).
"""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from cmpc_search.training.augmentation.base import Augmentation
from cmpc_search.training.augmentation.colours import (
    chained,
    channel_gains,
    hue_turns,
    mixed_channels,
    saturations,
)
from cmpc_search.training.augmentation.geometry import Warp, shrunk
from cmpc_search.training.augmentation.patches import patches
from cmpc_search.training.draws import Draws

__all__ = ["Drawing"]

MAX_WAVES = 2.0  # along a side


class Drawing(Augmentation):
    """Views of drawings."""

    kind: Literal["drawing"] = "drawing"
    max_turn_degrees: float = Field(8.0, ge=0, le=180, description="Rotation, either way.")
    max_scale: float = Field(1.15, ge=1, le=8, description="Zoom by this factor, either way.")
    max_stretch: float = Field(1.08, ge=1, le=8, description="Width to height, either way.")
    max_shift: float = Field(0.06, ge=0, le=1, description="Share of the side, either way.")
    max_bend: float = Field(0.0, ge=0, le=0.5, description="Height of waves, share of the side.")
    mirror_share: float = Field(0.0, ge=0, le=1, description="Share of views that are mirrored.")
    max_gain: float = Field(0.2, ge=0, le=1, description="Of each colour channel, either way.")
    grey_share: float = Field(0.1, ge=0, le=1, description="Share of views without colour.")
    hue_share: float = Field(0.0, ge=0, le=1, description="Share of views of another hue.")
    line_share: float = Field(0.0, ge=0, le=1, description="Share of views of other outlines.")
    erased_share: float = Field(0.0, ge=0, le=1, description="Share of views that lack a part.")
    max_erased_area: float = Field(0.2, ge=0, le=1, description="Share of the view's area.")

    def __call__(self, images: Tensor, draws: Draws, size_px: int) -> Tensor:
        ink = self._warp(draws).of_ink(images, size_px * self.supersampling)
        ink = shrunk(ink, self.supersampling)
        ink = self._with_other_lines(ink, draws)
        ink = mixed_channels(ink, self._colours(draws))
        is_erased = self._erased(draws, size_px)
        return 1 - ink.clamp_(0, 1).masked_fill_(is_erased[:, None], 0)

    def _warp(self, draws: Draws) -> Warp:
        turn = draws.between(-1, 1) * math.radians(self.max_turn_degrees)
        scale = _factor(draws, math.log(self.max_scale))
        stretch = _factor(draws, math.log(self.max_stretch) / 2)
        side = torch.where(draws.happens(self.mirror_share), -1.0, 1.0)
        limits = turn.new_tensor((2 * self.max_bend, MAX_WAVES, 1))  # a half side is half of one
        return Warp(
            turn=turn,
            across=side * scale * stretch,
            down=scale / stretch,
            shift=draws.between(-1, 1, 2) * (2 * self.max_shift),
            wave=draws.uniform(2, 3) * limits if self.max_bend else None,
        )

    def _with_other_lines(self, ink: Tensor, draws: Draws) -> Tensor:
        """Take black out of ``ink``, and draw another ink where it was."""
        inks = draws.uniform(3, 1, 1)
        is_chosen = draws.happens(self.line_share)[:, None, None, None]
        if not self.line_share:
            return ink
        black = ink.amin(dim=1, keepdim=True)
        # Squared: what is but dark is kept.
        return torch.where(is_chosen, ink - black * black * (1 - inks), ink)

    def _colours(self, draws: Draws) -> Tensor:
        """float32 [N, 3, 3], what to do with the inks."""
        saturation = torch.where(draws.happens(self.grey_share), 0.0, 1.0)
        turns = draws.uniform() * draws.happens(self.hue_share)
        gains = draws.between(1 - self.max_gain, 1 + self.max_gain, 3)
        return chained(channel_gains(gains), chained(hue_turns(turns), saturations(saturation)))

    def _erased(self, draws: Draws, size_px: int) -> Tensor:
        areas = draws.uniform(1) * self.max_erased_area
        areas = areas * draws.happens(self.erased_share)[:, None]
        return patches(draws, areas, size_px)


def _factor(draws: Draws, limit: float) -> Tensor:
    """Draw factors float32 [N] whose logarithm is even between -``limit`` and ``limit``."""
    return (draws.between(-1, 1).double() * limit).exp().float()
