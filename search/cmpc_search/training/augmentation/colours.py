"""New colours of a view: each is a mix of the three that a pixel has.

Whatever can be said by a matrix is: a view's changes are multiplied into one, so that its pixels
are read once.

Shapes: N views.
"""

import math

import torch
from torch import Tensor

__all__ = ["chained", "channel_gains", "hue_turns", "mixed_channels", "saturations"]

GREY = (0.299, 0.587, 0.114)
"""How bright red, green and blue are (ITU-R BT.601)."""


def mixed_channels(images: Tensor, matrices: Tensor) -> Tensor:
    """float32 [N, 3, H, W], [N, 3, 3] -> [N, 3, H, W]: row c of a matrix gives channel c.

    Written out: a product of matrices rounds as it suits the size of the batch.
    """
    weights = matrices[..., None, None]
    red, green, blue = images[:, None].unbind(dim=2)
    return red * weights[:, :, 0] + green * weights[:, :, 1] + blue * weights[:, :, 2]


def chained(last: Tensor, first: Tensor) -> Tensor:
    """float32 [N, 3, 3], [N, 3, 3] -> [N, 3, 3]: one after the other, written out as above."""
    terms = last[..., None] * first[:, None]
    return terms[:, :, 0] + terms[:, :, 1] + terms[:, :, 2]


def channel_gains(gains: Tensor) -> Tensor:
    """float32 [N, 3] -> [N, 3, 3]: each channel is gained by its own factor."""
    return torch.diag_embed(gains)


def saturations(factors: Tensor) -> Tensor:
    """float32 [N] -> [N, 3, 3]: 0 drains all colour, 1 changes nothing."""
    grey = factors.new_tensor(GREY).expand(3, 3)
    factors = factors[:, None, None]
    return torch.eye(3, device=factors.device) * factors + grey * (1 - factors)


def hue_turns(turns: Tensor) -> Tensor:
    """float32 [N], in whole turns -> [N, 3, 3]: a rotation about the axis of greys, which stay.

    Rodrigues' formula: K crosses with the unit vector along that axis.
    """
    angle = (2 * math.pi * turns.double())[:, None, None]
    ones = torch.ones(3, 3, device=turns.device, dtype=torch.float64) / 3
    cross = ones.new_tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    eye = torch.eye(3, device=turns.device, dtype=torch.float64)
    return (angle.cos() * eye + (1 - angle.cos()) * ones + angle.sin() * cross).float()
