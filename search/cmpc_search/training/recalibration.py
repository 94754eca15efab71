"""Rebuild the batch norms of a network whose weights came from a supernet.

Statistics that the supernet gathered belong to no path in particular, so SPOS (section 3.4 of Guo
et al., ECCV 2020) recomputes them for each candidate from training images. We average over all
batches alike instead of exponentially, so the order of the images does not matter.
"""

import math

import torch
from torch import Tensor

from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.training.compute import CPU

__all__ = ["rebuild_batch_norms"]

BATCH_SIZE = 256


def rebuild_batch_norms(network: PlanNetwork, images: Tensor) -> None:
    """Set every batch norm's mean and variance from ``images`` float32 [N, 3, S, S], N > 1.

    The network is left in eval mode.
    """
    # Parts of one size, give or take an image: a short last one would count as much as the others.
    batches = torch.tensor_split(images, math.ceil(len(images) / BATCH_SIZE))
    norms = list(network.batch_norms())
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
    network.train()
    with torch.inference_mode():
        for batch in batches:
            network(CPU.place(batch))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
