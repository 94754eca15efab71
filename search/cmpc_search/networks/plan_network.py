"""A plan as a torch module, and what each of its operations is in torch.

Shapes: N images, H and W pixels, D embedding length. Images are float32 in [0, 1]; embeddings have
unit length, so that an inner product is a cosine everywhere in cmpc.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cmpc_search.pixels import resize_images
from cmpc_search.space.operations import (
    Activate,
    Activation,
    Add,
    Affine,
    Concat,
    Convolution,
    Linear,
    MaxPool,
    Mean,
    Normalise,
    Slice,
)
from cmpc_search.space.plan import Plan, PlanStep

__all__ = [
    "EachChannel",
    "LinearNorm",
    "Norm",
    "PlanNetwork",
    "Weight",
    "place",
    "run_plan",
    "start_weights",
]

ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "relu6": functional.relu6,
}

Norm = Callable[[Tensor], Tensor]
Weights = Callable[[PlanStep], tuple[Tensor, Norm]]
"""Gives a layer's weight and its batch norm."""


def run_plan(plan: Plan, images: Tensor, weights: Weights) -> Tensor:
    """Return what ``plan`` computes for images float32 [N, 3, H, W], with the weights given.

    Images of another size are brought to that of the plan: architectures of one space may differ
    in it, and views are made once for all of them.
    """

    def compute(step: PlanStep, values: list[Tensor]) -> Tensor:
        value = values[0]
        match step.operation:
            case Convolution() as layer:
                weight, norm = weights(step)
                return _activate(norm(_convolve(value, weight, layer)), layer.activation)
            case Linear():
                weight, norm = weights(step)
                return norm(functional.linear(value, weight))
            case Slice(start, every):
                taken: Tensor = EachChannel.apply(value, start, every)  # type: ignore[no-untyped-call]
                return taken
            case Concat():
                return torch.cat(values, dim=1)
            case Add():
                return value + values[1]
            case Activate(kind):
                return _activate(value, kind)
            case Affine(scale, shift):
                return scale * value + shift
            case MaxPool(kernel, stride, padding):
                return functional.max_pool2d(value, kernel, stride, padding)
            case Mean():
                return value.mean(dim=(2, 3))
            case Normalise():
                return functional.normalize(value, dim=1)

    return plan.run(resize_images(images, plan.input_size_px), compute)


class EachChannel(torch.autograd.Function):
    """Every n-th channel, from one on: [N, C, H, W] -> [N, C / n, H, W], in the same layout.

    The gradient that torch has of a slice lies in memory with its channels first, and so do those
    that come of it: what rectified the channels before took five times as long.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor, start: int, every: int) -> Tensor:
        ctx.start, ctx.every = start, every
        ctx.shape, ctx.strides = value.shape, value.stride()
        return value[:, start::every].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        whole = gradients[0].new_empty_strided(ctx.shape, ctx.strides).zero_()
        whole[:, ctx.start :: ctx.every] = gradients[0]
        return whole, None, None


def _convolve(value: Tensor, weight: Tensor, layer: Convolution) -> Tensor:
    before, after = layer.padding(value.shape[-1])
    if before != after:
        value, before = functional.pad(value, (before, after, before, after)), 0
    return functional.conv2d(value, weight, None, layer.stride, before, 1, layer.groups)


def _activate(value: Tensor, kind: Activation | None) -> Tensor:
    return value if kind is None else ACTIVATIONS[kind](value)


class Weight(nn.Module):
    """The weight of a layer, not yet filled; `start_weights` does that."""

    def __init__(self, operation: Convolution | Linear, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))
        self._operation = operation

    def start(self) -> None:
        """Draw the weight as torch does for a linear layer, and as He et al. do for others."""
        if isinstance(self._operation, Linear):
            nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        else:
            is_depthwise = self._operation.depthwise
            nn.init.kaiming_normal_(self.weight, mode="fan_in" if is_depthwise else "fan_out")


class ConvNorm(Weight):
    """Weight and batch norm of a convolution."""

    def __init__(self, operation: Convolution) -> None:
        super().__init__(operation, operation.weight_shape)
        self.norm = nn.BatchNorm2d(operation.out_channels)
        if operation.starts_at_zero:
            nn.init.zeros_(self.norm.weight)


class LinearNorm(nn.Module):
    """Weight and batch norm of a linear layer."""

    def __init__(self, operation: Linear) -> None:
        super().__init__()
        self.linear = Weight(operation, operation.weight_shape)
        self.norm = nn.BatchNorm1d(operation.out_channels)

    @property
    def weight(self) -> nn.Parameter:
        return self.linear.weight


def _layer(operation: Convolution | Linear) -> ConvNorm | LinearNorm:
    return LinearNorm(operation) if isinstance(operation, Linear) else ConvNorm(operation)


class PlanNetwork(nn.Module):
    """Images float32 [N, 3, H, W] in [0, 1] -> unit embeddings float32 [N, D]."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        for step in plan.layers:
            place(self, step.name, _layer(step.layer))
        start_weights(self)

    def forward(self, images: Tensor) -> Tensor:
        return run_plan(self.plan, images, self._weights)

    def layer(self, step: PlanStep) -> ConvNorm | LinearNorm:
        """Return weight and batch norm of a step."""
        found = self.get_submodule(step.name)
        assert isinstance(found, ConvNorm | LinearNorm)
        return found

    def batch_norms(self) -> Iterator[nn.BatchNorm1d | nn.BatchNorm2d]:
        kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
        return (module for module in self.modules() if isinstance(module, kinds))

    def _weights(self, step: PlanStep) -> tuple[Tensor, Norm]:
        layer = self.layer(step)
        return layer.weight, layer.norm


def place(root: nn.Module, name: str, module: nn.Module) -> None:
    """Put ``module`` below ``root`` under a name with dots."""
    *above, last = name.split(".")
    for part in above:
        if part not in dict(root.named_children()):
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    root.add_module(last, module)


def start_weights(root: nn.Module) -> None:
    """Draw all weights below ``root`` in the order of their names' tree."""
    for module in root.modules():
        if isinstance(module, Weight):
            module.start()
