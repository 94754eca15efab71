"""Every architecture of a space in one set of shared weights (single path one-shot).

For each name of a weight that plans share there is one tensor, as large as any of them needs; an
architecture reads its part: the first channels (Guo et al., ECCV 2020, section 4.1) and the middle
of the kernel (Once-for-All, Cai et al., ICLR 2020). A global convolution weighs places of the
image, however many pixels its map has, so a smaller one reads the mean over the places that each of
its pixels joins. As in SPOS, batch norms have no affine part and
no running statistics while the supernet trains: they belong to one path only, and are rebuilt for
each candidate from training images.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from cmpc_search.networks.plan_network import (
    Norm,
    PlanNetwork,
    Weight,
    place,
    run_plan,
    start_weights,
)
from cmpc_search.space.base import Architecture, Space
from cmpc_search.space.operations import Convolution
from cmpc_search.space.plan import PlanStep

__all__ = ["Supernet"]

NOISE = 0.05  # how far from the identity layers start that start so: their channels must differ


class SharedWeight(Weight):
    """A weight as large as any of ``steps`` needs; each reads a part of it."""

    def __init__(self, steps: Sequence[PlanStep]) -> None:
        shapes = (step.layer.weight_shape for step in steps)
        super().__init__(steps[0].layer, tuple(map(max, zip(*shapes, strict=True))))
        self._starts_as_identity = steps[0].sharing.starts_as_identity
        layer = steps[0].layer
        self._is_global = isinstance(layer, Convolution) and layer.is_global

    def start(self) -> None:
        super().start()
        if self._starts_as_identity:
            out_channels, in_channels, *_ = self.weight.shape
            groups = out_channels if in_channels == 1 else 1
            with torch.no_grad():
                identity = nn.init.dirac_(torch.empty_like(self.weight), groups)
                self.weight.mul_(NOISE).add_(identity)

    def part(self, shape: tuple[int, ...]) -> Tensor:
        """Return the first channels and the middle of the kernel, as many as ``shape`` has.

        Of a global convolution it is the whole kernel, averaged down to that size.
        """
        if self._is_global:
            whole = self.weight[: shape[0], : shape[1]]
            return functional.adaptive_avg_pool2d(whole, (shape[2], shape[3]))
        sizes = zip(self.weight.shape[2:], shape[2:], strict=True)
        middles = [slice((whole - size) // 2, (whole + size) // 2) for whole, size in sizes]
        return self.weight[(slice(shape[0]), slice(shape[1]), *middles)]


class Supernet(nn.Module):
    """Images float32 [N, 3, H, W] in [0, 1] and an architecture -> unit embeddings [N, D]."""

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.space = space
        sharers: dict[str, list[PlanStep]] = {}
        for architecture in space.covering():
            for step in space.plan(architecture).layers:
                sharers.setdefault(step.sharing.weight, []).append(step)
        for name, steps in sharers.items():
            place(self, name, SharedWeight(steps))
        start_weights(self)

    def forward(self, images: Tensor, architecture: Architecture) -> Tensor:
        return run_plan(self.space.plan(architecture), images, self._weights)

    def extract(self, architecture: Architecture) -> PlanNetwork:
        """Return ``architecture`` as a network of its own, with a copy of its shared weights.

        Its batch norms are fresh: rebuild their statistics before use
        (`cmpc_search.training.recalibration`).
        """
        network = PlanNetwork(self.space.plan(architecture))
        with torch.no_grad():
            for step in network.plan.layers:
                network.layer(step).weight.copy_(self._part(step))
        return network

    def _weights(self, step: PlanStep) -> tuple[Tensor, Norm]:
        return self._part(step), _normalised

    def _part(self, step: PlanStep) -> Tensor:
        shared = self.get_submodule(step.sharing.weight)
        assert isinstance(shared, SharedWeight)
        return shared.part(step.layer.weight_shape)


def _normalised(values: Tensor) -> Tensor:
    """Normalise by the statistics of this batch."""
    return functional.batch_norm(values, None, None, training=True)
