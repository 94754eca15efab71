"""Prove a network by running it on a few images, before it is taken in.

What a network is asked for later (one finite embedding for each image, the same each time, whatever
else is in the batch) is tried here, so that nothing of it fails in the middle of a search.

Shapes: N images, S pixels a side, D embedding length.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cmpc_search.directions import unit_rows
from cmpc_search.errors import BadGallery
from cmpc_search.gallery.networks.base import LargeNetwork, resized

__all__ = ["MOST_APART", "NUM_TRIED", "embedding_dim_of", "made_up_images"]

NUM_TRIED = 20
NUM_ALONE = 3
MOST_APART = 1e-3
"""Of two unit embeddings of one image, in any of their numbers."""
PATCHES = 4  # a side: noise looks alike to a network that averages, patches of colour don't


def made_up_images(size_px: int) -> npt.NDArray[np.uint8]:
    """Return made-up images uint8 [N, S, S, 3], for want of real ones."""
    shape = (NUM_TRIED, PATCHES, PATCHES, 3)
    patches = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    nearest = np.arange(size_px) * PATCHES // size_px
    return patches[:, nearest][:, :, nearest]


def embedding_dim_of(
    network: LargeNetwork, images: npt.NDArray[np.uint8], item_names: Sequence[str]
) -> int:
    """Run a network on images uint8 [N, H, H, 3] as it will be run, and return D.

    Raises:
        BadEmbeddings: an image gets NaN, infinities or zeros.
        BadGallery: all images get the same, or one something else the next time, or in a batch.
    """
    images = resized(images, network.input_size_px)
    together = unit_rows(network.embed(images), item_names, f"what {network.name} gives")
    if len(together) > 1 and np.abs(together - together[0]).max() < MOST_APART**2:
        raise BadGallery(
            f"{network.name} must tell images apart, got the same embedding for all of "
            f"{len(together)} different ones; its weights or its last layers are dead"
        )
    once, again = _alone(network, images), _alone(network, images)
    if not (apart := _apart(once, again)) <= MOST_APART:
        raise BadGallery(
            f"{network.name} must give an image the same embedding each time, two differ by "
            f"{apart:.3g}; export it in inference mode"
        )
    if not (apart := _apart(once, together[: len(once)])) <= MOST_APART:
        raise BadGallery(
            f"{network.name} must give an image the same embedding whatever is in its batch, "
            f"two differ by {apart:.3g}; export it in inference mode"
        )
    return int(together.shape[1])


def _alone(network: LargeNetwork, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the directions of the first few, each in a batch of its own; zeros stay zeros."""
    few = range(min(NUM_ALONE, len(images)))
    rows = np.concatenate([network.embed(images[row : row + 1]) for row in few])
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    directions: npt.NDArray[np.float32] = (rows / np.where(lengths > 0, lengths, 1)).astype(
        np.float32
    )
    return directions


def _apart(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    return float(np.abs(one - other).max())
