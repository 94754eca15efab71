"""How convolutions, dense layers and what follows them become kernels.

Nothing here is called at once: a kernel waits for the residual, the ReLU or the factors that alone
read its result and takes them in.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from cmpc_cost_models.lowering.kernel_specs import Convolution, Map
from cmpc_cost_models.lowering.planner import NotOurs, Planner, Waiting

__all__ = ["add", "conv", "dense", "mul", "relu"]

Attributes = dict[str, Any]


def conv(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    source = planner.value(node.input[0])
    weight = planner.constant(node.input[1])
    group, padding = attributes.get("group", 1), set(attributes.get("pads", [0, 0, 0, 0]))
    stride = set(attributes.get("strides", [1, 1]))
    out_channels, depth, *kernel = weight.shape
    is_depthwise = group > 1
    if (
        weight.ndim != 4
        or len(padding) != 1
        or len(stride) != 1
        or set(attributes.get("dilations", [1])) != {1}
        or attributes.get("auto_pad", b"NOTSET") != b"NOTSET"
        or (is_depthwise and not (group == out_channels == source.view.channels and depth == 1))
    ):
        raise NotOurs
    [pad], [step] = padding, stride
    bias = planner.constant(node.input[2]) if len(node.input) > 2 else np.zeros(out_channels)
    size = (source.view.map.height, source.view.map.width)
    height, width = (
        (one + 2 * pad - taps) // step + 1 for one, taps in zip(size, kernel, strict=True)
    )
    spec = Convolution(
        source=source.view,
        target=Map(height=height, width=width, channels=out_channels),
        kernel=(kernel[0], kernel[1]),
        stride=step,
        padding=pad,
        is_depthwise=is_depthwise,
    )
    packed = weight.transpose(2, 3, 1, 0)  # [kH, kW, I, O], or [kH, kW, 1, C]
    planner.values[node.output[0]] = Waiting(
        spec=spec, inputs=(source.buffer,), constants=(packed, bias)
    )


def dense(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    source = planner.value(node.input[0])
    weight = planner.constant(node.input[1])
    if node.op_type == "Gemm":
        if attributes.get("alpha", 1.0) != 1.0 or attributes.get("beta", 1.0) != 1.0:
            raise NotOurs
        weight = weight.T if attributes.get("transB") else weight
    if weight.ndim != 2 or attributes.get("transA") or source.view.channels != weight.shape[0]:
        raise NotOurs
    bias = planner.constant(node.input[2]) if len(node.input) > 2 else np.zeros(weight.shape[1])
    if bias.size != weight.shape[1]:
        raise NotOurs
    spec = Convolution(
        source=source.view,
        target=Map(height=1, width=1, channels=weight.shape[1]),
        kernel=(1, 1),
        stride=1,
        padding=0,
        is_depthwise=False,
    )
    planner.values[node.output[0]] = Waiting(
        spec=spec, inputs=(source.buffer,), constants=(weight, bias.reshape(-1))
    )


def relu(planner: Planner, node: onnx.NodeProto, _: Attributes) -> None:
    waiting = planner.waiting(node.input[0])
    if waiting is None:
        waiting = planner.identity(node.input[0])
    planner.values[node.output[0]] = replace(waiting, spec=replace(waiting.spec, relu=True))


def add(planner: Planner, node: onnx.NodeProto, _: Attributes) -> None:
    x, y = node.input
    if planner.is_constant(x) or planner.is_constant(y):
        _affine(planner, node)
        return
    waiting, other = planner.waiting(y), x
    if waiting is None:
        waiting, other = planner.waiting(x), y
    if waiting is None or waiting.spec.relu or waiting.spec.residual:
        waiting, other = planner.identity(x), y
    residual = planner.value(other)
    read, target = residual.view, waiting.spec.target
    if (read.channels, read.map.height, read.map.width) != (
        target.channels,
        target.height,
        target.width,
    ):
        raise NotOurs
    planner.values[node.output[0]] = replace(
        waiting,
        spec=replace(waiting.spec, residual=residual.view),
        inputs=(*waiting.inputs, residual.buffer),
    )


def mul(planner: Planner, node: onnx.NodeProto, _: Attributes) -> None:
    _affine(planner, node)


def _affine(planner: Planner, node: onnx.NodeProto) -> None:
    """Plan ``x * factor`` or ``x + factor`` with one factor a channel, in either order."""
    x, factor_name = sorted(node.input, key=planner.is_constant)
    waiting = planner.waiting(x)
    if waiting is None or waiting.spec.relu or waiting.spec.residual:
        waiting = planner.identity(x)
    factor = planner.constant(factor_name)
    channels = waiting.spec.target.channels
    is_map = max(waiting.spec.target.height, waiting.spec.target.width) > 1
    if factor.size not in (1, channels) or (is_map and factor.shape[-2:] not in ((1, 1), ())):
        raise NotOurs
    values = np.broadcast_to(factor.reshape(-1), (channels,)).astype(np.float64)
    first, shift = waiting.constants
    if node.op_type == "Add":
        constants = (first, shift + values)
    else:
        constants = (first * values, shift * values)  # channels are the last axis of both
    planner.values[node.output[0]] = replace(waiting, constants=constants)
