"""From images to embeddings with a torch network, in batches, the same way everywhere."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cmpc_search.pixels import to_float
from cmpc_search.training.compute import Compute, here

__all__ = ["embed_batches", "embed_images", "embed_placed", "image_batches"]

BATCH_SIZE = 256


def embed_images(
    network: nn.Module, images: npt.NDArray[np.uint8], *, compute: Compute | None = None
) -> npt.NDArray[np.float32]:
    """uint8 [N, S, S, 3] -> unit embeddings float32 [N, D]; the network is left in eval mode.

    Computes where ``compute`` says, or `here`.
    """
    return embed_batches(network, image_batches(images, np.arange(len(images))), compute=compute)


def image_batches(
    images: npt.NDArray[np.uint8], positions: npt.NDArray[np.int64]
) -> Iterator[Tensor]:
    """Yield the images uint8 [N, S, S, 3] at ``positions`` as float32 [n, 3, S, S], some a time."""
    for start in range(0, len(positions), BATCH_SIZE):
        yield to_float(torch.from_numpy(np.array(images[positions[start : start + BATCH_SIZE]])))


def embed_batches(
    network: nn.Module, batches: Iterable[Tensor], *, compute: Compute | None = None
) -> npt.NDArray[np.float32]:
    """float32 batches [n, 3, S, S] -> unit embeddings float32 [N, D], as `embed_images`."""
    compute = compute or here()
    network.eval()
    with compute.hosting(network):
        return embed_placed(network, batches, compute)


def embed_placed(
    network: nn.Module, batches: Iterable[Tensor], compute: Compute
) -> npt.NDArray[np.float32]:
    """Embed as `embed_batches`, with a network that is on the device and in eval mode already.

    It is not touched, so several threads may do so at once.
    """
    with torch.inference_mode():
        parts = [network(compute.place(batch)).float().numpy(force=True) for batch in batches]
    embeddings: npt.NDArray[np.float32] = np.concatenate(parts)
    return embeddings
