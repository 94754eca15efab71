"""From images to embeddings with a torch network, in batches, the same way everywhere."""

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from cmpc_search.pixels import to_float
from cmpc_search.training.compute import CPU, Compute

__all__ = ["embed_images"]

BATCH_SIZE = 256


def embed_images(
    network: nn.Module, images: npt.NDArray[np.uint8], *, compute: Compute = CPU
) -> npt.NDArray[np.float32]:
    """uint8 [N, S, S, 3] -> unit embeddings float32 [N, D]; the network is left in eval mode.

    The network is where ``compute`` placed it.
    """
    network.eval()
    batches = []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH_SIZE):
            batch = torch.from_numpy(np.array(images[start : start + BATCH_SIZE]))
            batches.append(network(compute.place(to_float(batch))).float().numpy(force=True))
    embeddings: npt.NDArray[np.float32] = np.concatenate(batches)
    return embeddings
