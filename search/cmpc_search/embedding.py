"""From images to embeddings with a torch network, in batches, the same way everywhere."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from cmpc_search.training.augmentation import to_float
from cmpc_search.training.numerics import to_layout

__all__ = ["embed_images", "resize_images"]

BATCH_SIZE = 256


def embed_images(network: nn.Module, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """uint8 [N, S, S, 3] -> unit embeddings float32 [N, D]; the network is left in eval mode."""
    network.eval()
    batches = []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH_SIZE):
            batch = torch.from_numpy(np.array(images[start : start + BATCH_SIZE]))
            batches.append(network(to_layout(to_float(batch))).float().numpy())
    embeddings: npt.NDArray[np.float32] = np.concatenate(batches)
    return embeddings


def resize_images(images: Tensor, size_px: int) -> Tensor:
    """float32 [N, 3, H, W] -> [N, 3, size_px, size_px], averaged where it shrinks."""
    if images.shape[-1] == size_px:
        return images
    resized = functional.interpolate(
        images, (size_px, size_px), mode="bilinear", antialias=True, align_corners=False
    )
    return resized.clamp_(0, 1)
