"""Views that were made stay in memory, as many as a limit allows: epochs after the first read them.

Shapes: N views, S pixels a side.
"""

import mmap
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

__all__ = ["ViewMemory"]


class ViewMemory:
    """Keeps the views with the least numbers, as bytes.

    Memory is taken as views come; threads may ask together.

    Args:
        num_views: How many there are, with numbers from 0.
        size_px: Their size.
        limit_bytes: Most that is kept; 0 keeps none.
    """

    def __init__(self, num_views: int, size_px: int, limit_bytes: int) -> None:
        view_bytes = size_px**2 * 3
        capacity = min(num_views, limit_bytes // view_bytes)
        # The system gives pages when they are written first, and takes all back at the end.
        pages = mmap.mmap(-1, max(1, capacity * view_bytes))
        pixels = np.frombuffer(pages, np.uint8, capacity * view_bytes)
        self._pixels = pixels.reshape(capacity, size_px, size_px, 3)
        self._is_kept = np.zeros(capacity, np.bool_)

    def get(self, numbers: Tensor, make: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the views of these numbers, of which ``make`` makes the missing ones.

        Args:
            numbers: int64 [N].
            make: Takes some of the numbers, and returns their views uint8 [M, S, S, 3].

        Returns:
            uint8 [N, S, S, 3]
        """
        wanted = numbers.numpy()
        has_place = wanted < len(self._is_kept)
        is_kept = has_place.copy()
        is_kept[has_place] = self._is_kept[wanted[has_place]]
        views = torch.empty(len(wanted), *self._pixels.shape[1:], dtype=torch.uint8)
        views.numpy()[is_kept] = self._pixels[wanted[is_kept]]
        if not is_kept.all():
            made = make(numbers[~is_kept]).numpy(force=True)
            views.numpy()[~is_kept] = made
            new = has_place[~is_kept]
            self._pixels[wanted[has_place & ~is_kept]] = made[new]
            self._is_kept[wanted[has_place & ~is_kept]] = True  # last: another thread may read now
        return views
