"""Rebuild the batch norms of a network from clean training images.

Statistics that a supernet gathered belong to no path in particular, so SPOS (section 3.4 of Guo et
al., ECCV 2020) recomputes them for each candidate from training images. Those that ran along with a
training are of augmented views, some of two images, while queries are clean pictures; so what was
trained on its own is kept with rebuilt ones, too. We average over all batches alike instead of
exponentially, so the order of the images does not matter.
"""

import math

import torch
from torch import Tensor

from cmpc_search.data import ImageSet
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.pixels import to_float
from cmpc_search.training.compute import Compute, here

__all__ = ["clean_images", "rebuild_batch_norms"]

BATCH_SIZE = 256
MAX_IMAGES = 4096
MAX_BYTES = 1 << 28
"""Of the images as float32, which takes fewer large ones: at 224 px, 445."""


def clean_images(image_set: ImageSet) -> Tensor:
    """Return training images of all parts of a set, as they are, float32 [n, 3, S, S]."""
    positions = image_set.select(split="train")
    affordable = MAX_BYTES // (image_set.images[0].size * torch.float32.itemsize)
    limit = max(2, min(MAX_IMAGES, affordable))  # a variance takes two
    chosen = positions[:: math.ceil(len(positions) / limit)]
    return to_float(torch.from_numpy(image_set.images[chosen]))


def rebuild_batch_norms(
    network: PlanNetwork, images: Tensor, *, compute: Compute | None = None
) -> None:
    """Set every batch norm's mean and variance from ``images`` float32 [N, 3, S, S], N > 1.

    Those of frozen weights stay as they are. The network is left in eval mode.
    """
    compute = compute or here()
    # Parts of one size, give or take an image: a short last one would count as much as the others.
    batches = torch.tensor_split(images, math.ceil(len(images) / BATCH_SIZE))
    norms = [norm for norm in network.batch_norms() if norm.weight.requires_grad]
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
        norm.train()
    with compute.hosting(network), torch.inference_mode():
        for batch in batches:
            network(compute.place(batch))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
