"""Views are looked up in their images: one map from places in the view to places in the image.

Coordinates go from -1 to 1 across an image, whatever its size. What a batch holds beside a view
must not touch its last bit, so every sum here is written out: the library's products of matrices
round as it suits the size of the batch.

Shapes: N views, S pixels a side, H of an image.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Warp", "shrunk"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Warp:
    """A turn, scale and shift of each view, and a wave along each axis.

    Attributes:
        turn: float32 [N], radians.
        across, down: float32 [N], the share of the image's width and height that a view shows;
            negative mirrors it.
        shift: float32 [N, 2], right and down, in half sides.
        wave: float32 [N, 2, 3]: height in half sides, waves a side, and phase in turns, of what
            moves places to the right and down.
    """

    turn: Tensor
    across: Tensor
    down: Tensor
    shift: Tensor
    wave: Tensor | None = None

    def of_ink(self, images: Tensor, size_px: int) -> Tensor:
        """float32 [N, 3, H, H] -> ink on white [N, 3, S, S]: outside an image there is none."""
        grid = self._grid(size_px)
        return functional.grid_sample(1 - images, grid, align_corners=False)

    def of_light(self, images: Tensor, size_px: int) -> Tensor:
        """float32 [N, 3, H, H] -> [N, 3, S, S]: outside an image its edge goes on."""
        grid = self._grid(size_px)
        return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)

    def _grid(self, size_px: int) -> Tensor:
        """float32 [N, S, S, 2]: x and y of the place in the image that each pixel shows.

        Each is a sum of one part for the column and one for the row.
        """
        turn = self.turn.double()  # rounding to float32 then hides how sines were computed
        cosine, sine = turn.cos().float()[:, None], turn.sin().float()[:, None]
        places = (torch.arange(size_px, device=turn.device) * 2 + 1) / size_px - 1
        across, down = self.across[:, None] * places, self.down[:, None] * places
        right, below = self.shift[:, :1], self.shift[:, 1:]
        of_rows, of_columns = down * sine, across * sine
        if self.wave is not None:
            of_rows = of_rows - _sway(self.wave[:, 0], places)
            of_columns = of_columns + _sway(self.wave[:, 1], places)
        grid = across.new_empty(len(turn), size_px, size_px, 2)
        grid[..., 0] = (across * cosine + right)[:, None, :] - of_rows[:, :, None]
        grid[..., 1] = (down * cosine + below)[:, :, None] + of_columns[:, None, :]
        return grid


def shrunk(images: Tensor, times: int) -> Tensor:
    """float32 [N, 3, S, S] -> [N, 3, S / times, S / times]: means of squares of pixels."""
    if times == 1:
        return images
    parts = [images[..., top::times, left::times] for top in range(times) for left in range(times)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total / times**2


def _sway(wave: Tensor, places: Tensor) -> Tensor:
    """float32 [N, 3], [S] -> [N, S], by how much each row or column is moved."""
    height, times, phase = wave.double()[:, :, None].unbind(dim=1)
    return (height * (2 * math.pi * (times * places / 2 + phase)).sin()).float()
