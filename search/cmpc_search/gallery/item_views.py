"""Mild views of gallery items: each item turned, zoomed and moved a little, the same way each time.

The mean of a few of them is a steadier embedding of the item than the item's own, and costs the
gallery side alone.

Shapes: N images, H pixels a side.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from cmpc_search.pixels import to_bytes, to_float

__all__ = ["mild_view"]

TURN_DEGREES = 4.0
ZOOM = 1.06
SHIFT_SHARE = 0.03  # of the image's side


def mild_view(images: npt.NDArray[np.uint8], number: int, count: int) -> npt.NDArray[np.uint8]:
    """Return view ``number`` of ``count`` of each image, uint8 [N, H, H, 3]; view 0 is the image.

    The views that differ are spread evenly around a circle of shifts; one in two is turned the
    other way, and zoomed out instead of in.
    """
    if number == 0:
        return images
    angle = 2 * math.pi * (number - 1) / (count - 1)
    side = 1 if number % 2 else -1
    turn, zoom = math.radians(TURN_DEGREES) * side, ZOOM**-side
    # affine_grid's unit is half the side, so a shift of a share s is 2 s.
    shift_x, shift_y = (2 * SHIFT_SHARE * one for one in (math.cos(angle), math.sin(angle)))
    cosine, sine = zoom * math.cos(turn), zoom * math.sin(turn)
    matrix = torch.tensor([[cosine, -sine, shift_x], [sine, cosine, shift_y]])
    given = to_float(torch.from_numpy(np.array(images)))
    grid = functional.affine_grid(
        matrix.expand(len(images), 2, 3), list(given.shape), align_corners=False
    )
    # What lies outside is as its edge: white paper goes on, and so does the wall behind a shelf.
    return to_bytes(functional.grid_sample(given, grid, padding_mode="border", align_corners=False))
