"""Views of photographs: a part of them, either way round, in other light.

What is usual for photographs: a crop of random size and shape (Szegedy et al., CVPR 2015), mirrored
or not; other brightness, contrast, saturation and hue; now and then grey, blurred, or with a part
erased (Zhong et al., AAAI 2020).
"""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from cmpc_search.training.augmentation.base import Augmentation
from cmpc_search.training.augmentation.colours import (
    chained,
    hue_turns,
    mixed_channels,
    saturations,
)
from cmpc_search.training.augmentation.geometry import Warp, shrunk
from cmpc_search.training.augmentation.patches import patches
from cmpc_search.training.draws import Draws

__all__ = ["Photo"]

MID_GREY = 0.5


class Photo(Augmentation):
    """Views of photographs."""

    kind: Literal["photo"] = "photo"
    supersampling: int = Field(1, ge=1, le=4, description="As for drawings; crops are enlarged.")
    min_area: float = Field(0.35, gt=0, le=1, description="Least share of the image in a crop.")
    max_stretch: float = Field(1.33, ge=1, le=8, description="Width to height, either way.")
    mirror_share: float = Field(0.5, ge=0, le=1, description="Share of views that are mirrored.")
    max_brightness: float = Field(0.3, ge=0, le=1, description="Factor of light, either way.")
    max_contrast: float = Field(0.3, ge=0, le=1, description="Factor about grey, either way.")
    max_saturation: float = Field(0.3, ge=0, le=1, description="Factor of colour, either way.")
    max_hue_turn: float = Field(0.03, ge=0, le=0.5, description="Of the circle, either way.")
    grey_share: float = Field(0.1, ge=0, le=1, description="Share of views without colour.")
    blurred_share: float = Field(0.2, ge=0, le=1, description="Share of views that are blurred.")
    max_blur: float = Field(0.03, ge=0, le=0.2, description="Radius as a share of the side.")
    erased_share: float = Field(0.25, ge=0, le=1, description="Share of views that lack a part.")
    max_erased_area: float = Field(0.2, ge=0, le=1, description="Share of the view's area.")

    def __call__(self, images: Tensor, draws: Draws, size_px: int) -> Tensor:
        views = self._crop(draws).of_light(images, size_px * self.supersampling)
        views = shrunk(views, self.supersampling)
        views = self._in_other_light(views, draws)
        views = self._blurred(views, draws, size_px)
        return views.masked_fill_(self._erased(draws, size_px)[:, None], MID_GREY)

    def _crop(self, draws: Draws) -> Warp:
        area, stretch = draws.between(self.min_area, 1), draws.between(-1, 1).double()
        width_to_height = (stretch * math.log(self.max_stretch)).exp().float()
        width = (area * width_to_height).sqrt().clamp(max=1)
        height = (area / width_to_height).sqrt().clamp(max=1)
        side = torch.where(draws.happens(self.mirror_share), -1.0, 1.0)
        room = torch.stack((1 - width, 1 - height), dim=1)
        return Warp(
            turn=torch.zeros_like(area),
            across=side * width,
            down=height,
            shift=draws.between(-1, 1, 2) * room,
        )

    def _in_other_light(self, views: Tensor, draws: Draws) -> Tensor:
        brightness, contrast, saturation = (
            draws.between(1 - limit, 1 + limit)
            for limit in (self.max_brightness, self.max_contrast, self.max_saturation)
        )
        hue = draws.between(-self.max_hue_turn, self.max_hue_turn)
        saturation = torch.where(draws.happens(self.grey_share), 0.0, saturation)
        colours = chained(hue_turns(hue), saturations(saturation))
        gains = (brightness * contrast)[:, None, None]
        base = MID_GREY * (1 - contrast)[:, None, None, None]
        return (mixed_channels(views, colours * gains) + base).clamp_(0, 1)

    def _blurred(self, views: Tensor, draws: Draws, size_px: int) -> Tensor:
        """Blend a share of ``views`` with their means over a square."""
        strength = draws.uniform() * draws.happens(self.blurred_share)
        radius = round(self.max_blur * size_px)
        if not radius or not self.blurred_share:
            return views
        blurred = _means(_means(views, 0, radius), radius, 0)
        return views + (blurred - views) * strength[:, None, None, None]

    def _erased(self, draws: Draws, size_px: int) -> Tensor:
        areas = draws.uniform(1) * self.max_erased_area
        return patches(draws, areas * draws.happens(self.erased_share)[:, None], size_px)


def _means(views: Tensor, down: int, across: int) -> Tensor:
    """Average over as many pixels either way; past the edge there are none."""
    window, padding = (2 * down + 1, 2 * across + 1), (down, across)
    return functional.avg_pool2d(views, window, 1, padding, count_include_pad=False)
