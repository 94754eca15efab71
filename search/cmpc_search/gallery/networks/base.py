"""The promise of a large network: images in, an embedding of each out.

Shapes: N images, S and H pixels a side, D embedding length.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from cmpc_base.progress import Progress
from cmpc_search.directions import unit_rows
from cmpc_search.pixels import resize_images, to_bytes, to_float

__all__ = ["LargeNetwork", "resized", "unit_embeddings"]

IMAGES_AT_ONCE = 256


class LargeNetwork(Protocol):
    """Gives an embedding for each image."""

    name: str
    """What messages call it."""
    input_size_px: int

    def embed(
        self, images: npt.NDArray[np.uint8], *, is_narrow: bool = False
    ) -> npt.NDArray[np.float32]:
        """uint8 [N, S, S, 3] of the size that it reads -> float32 [N, D] of any length."""


def unit_embeddings(
    network: LargeNetwork,
    images: npt.NDArray[np.uint8],
    item_names: Sequence[str] | None,
    *,
    is_narrow: bool = False,
    progress: Progress | None = None,
) -> npt.NDArray[np.float32]:
    """uint8 [N, H, H, 3] of any size -> unit embeddings float32 [N, D], a part at a time.

    Raises:
        BadEmbeddings: the network gives NaN, infinities or zeros for some of the items.
    """
    parts = []
    for start in range(0, len(images), IMAGES_AT_ONCE):
        end = min(start + IMAGES_AT_ONCE, len(images))
        names = None if item_names is None else item_names[start:end]
        rows = network.embed(resized(images[start:end], network.input_size_px), is_narrow=is_narrow)
        parts.append(unit_rows(rows, names, f"what {network.name} gives"))
        if progress is not None:
            progress(end, len(images))
    return np.concatenate(parts)


def resized(images: npt.NDArray[np.uint8], size_px: int) -> npt.NDArray[np.uint8]:
    """uint8 [N, H, H, 3] -> uint8 [N, size_px, size_px, 3]."""
    if images.shape[1] == size_px:
        return images
    return to_bytes(resize_images(to_float(torch.from_numpy(np.array(images))), size_px))
