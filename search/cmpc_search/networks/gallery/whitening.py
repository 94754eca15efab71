"""Whiten embeddings: a linear layer after them, fitted on the embeddings of training images.

A few directions of large variance rule the cosines of trained embeddings. Whitening (Jegou and
Chum, ECCV 2012) makes all directions vary alike; a power below 1 goes only part of the way.

Shapes: N embeddings of length D.
"""

from dataclasses import replace

import torch
from torch import Tensor

from cmpc_search.networks.gallery.base import WHITENING, GalleryNetwork
from cmpc_search.networks.plan_network import LinearNorm

__all__ = ["whitened", "whitening_of"]

LEAST_VARIANCE_SHARE = 1e-3  # of the greatest: directions that hardly vary are noise


def whitened(network: GalleryNetwork, embeddings: Tensor, *, power: float) -> GalleryNetwork:
    """Return ``network`` with a whitening after it, fitted on its ``embeddings`` [N, D]."""
    found = GalleryNetwork(replace(network.shape, is_whitened=True))
    found.load_state_dict({**found.state_dict(), **network.state_dict()})
    layer = found.get_submodule(WHITENING)
    assert isinstance(layer, LinearNorm)
    mean, matrix = whitening_of(embeddings, power=power)
    assert layer.norm.running_mean is not None
    assert layer.norm.running_var is not None
    with torch.no_grad():
        layer.weight.copy_(matrix)
        layer.norm.running_mean.copy_(matrix @ mean)
        layer.norm.running_var.fill_(1 - layer.norm.eps)
    return found


def whitening_of(embeddings: Tensor, *, power: float) -> tuple[Tensor, Tensor]:
    """Return the mean [D] to subtract and the matrix [D, D] to multiply with then.

    Along the principal axes, greatest variance first, a variance v becomes ``v ** (1 - power)``.
    """
    rows = embeddings.double()
    mean = rows.mean(dim=0)
    variances, axes = torch.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
    variances = variances.clamp(min=float(variances.max()) * LEAST_VARIANCE_SHARE)
    matrix = (axes / variances ** (power / 2)).T.flip(0)
    return mean.float(), matrix.float()
