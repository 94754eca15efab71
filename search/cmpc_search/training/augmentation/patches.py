"""Rectangles of random place, size and shape: what is erased from a view, or pasted into it.

Shapes: N views, P patches of each, S pixels a side.
"""

import torch
from torch import Tensor

from cmpc_search.training.draws import Draws

__all__ = ["patches"]

MAX_STRETCH = 2.0  # of a patch's width against its height, either way


def patches(draws: Draws, areas: Tensor, size_px: int) -> Tensor:
    """float32 [N, P] shares of the side's square -> bool [N, S, S], true within a patch of a view.

    Patches lie within the view, and may lie on one another.
    """
    num_patches = areas.shape[1]
    stretch = draws.between(1 / MAX_STRETCH, MAX_STRETCH, num_patches)
    height = (areas / stretch).sqrt().clamp(max=1)
    width = (areas / height.clamp(min=1e-6)).clamp(max=1)
    top = draws.uniform(num_patches) * (1 - height)
    left = draws.uniform(num_patches) * (1 - width)
    is_in_row = _is_within(top, height, size_px)[:, :, :, None]
    is_in_column = _is_within(left, width, size_px)[:, :, None, :]
    return (is_in_row & is_in_column).any(dim=1)


def _is_within(start: Tensor, length: Tensor, size_px: int) -> Tensor:
    """float32 [N, P], as shares of the side -> bool [N, P, S]."""
    places = (torch.arange(size_px, device=start.device) + 0.5) / size_px
    return (places >= start[..., None]) & (places < (start + length)[..., None])
