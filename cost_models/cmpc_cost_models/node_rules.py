"""How each ONNX operator becomes calls of our kernels, one rule for each.

A rule raises ``NotOurs`` for whatever its kernel doesn't do; the whole graph then goes through
TVM's own importer. A rule may be strict, then, but never approximate.

    ONNX nodes --> Plan: [Call(spec, inputs, constants, output), ...]
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from onnx import helper

from cmpc_cost_models.counted import input_and_output_shape
from cmpc_cost_models.kernel_specs import (
    Concat,
    Convolution,
    GlobalMean,
    ImageToMap,
    Map,
    MaxPool,
    Normalise,
    View,
)
from cmpc_cost_models.planner import Call, NotOurs, Planner, Value, Waiting

__all__ = ["Plan", "plan_network"]

OUTPUT = "cmpc_output"  # a buffer that no graph names

Attributes = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All calls of a network, in order; the last fills the output."""

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    calls: tuple[Call, ...]


def plan_network(model: onnx.ModelProto) -> Plan | None:
    """Return the calls that compute ``model``, or ``None`` if our kernels don't do all of it."""
    graph = model.graph
    input_shape, output_shape = input_and_output_shape(model)
    if len(input_shape) != 4 or input_shape[0] != 1 or len(output_shape) != 2:
        return None
    planner = Planner(graph)
    [entry] = [one.name for one in graph.input if not planner.is_constant(one.name)]
    _, channels, height, width = input_shape
    target = planner.map(entry, height, width, channels)
    planner.call(ImageToMap(target=target), (entry,), entry)
    try:
        for node in graph.node:
            if node.op_type not in RULES:
                return None
            RULES[node.op_type](planner, node, _attributes(node))
        _finish(planner, graph.output[0].name)
    except NotOurs:
        return None
    return Plan(input_shape=input_shape, output_shape=output_shape, calls=tuple(planner.calls))


def _finish(planner: Planner, output: str) -> None:
    """Make the last call fill a buffer that is the output and nothing else."""
    value = planner.value(output)
    plain = Map(height=1, width=1, channels=value.view.channels)
    if value.buffer != planner.calls[-1].output or value.view != View.whole(plain):
        planner.call(Concat(sources=(value.view,), target=plain), (value.buffer,), OUTPUT)


def _attributes(node: onnx.NodeProto) -> Attributes:
    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


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
        return _affine(planner, node, *((x, y) if planner.is_constant(y) else (y, x)))
    waiting, other = planner.waiting(y), x
    if waiting is None:
        waiting, other = planner.waiting(x), y
    if waiting is None or waiting.spec.relu or waiting.spec.residual:
        waiting, other = planner.identity(x), y
    residual = planner.value(other)
    if residual.view.channels != waiting.spec.target.channels or residual.view.map.height != (
        waiting.spec.target.height
    ):
        raise NotOurs
    planner.values[node.output[0]] = replace(
        waiting,
        spec=replace(waiting.spec, residual=residual.view),
        inputs=(*waiting.inputs, residual.buffer),
    )
    return None


def mul(planner: Planner, node: onnx.NodeProto, _: Attributes) -> None:
    x, y = node.input
    _affine(planner, node, *((x, y) if planner.is_constant(y) else (y, x)))


def _affine(planner: Planner, node: onnx.NodeProto, x: str, factor_name: str) -> None:
    """Plan ``x * factor`` or ``x + factor`` with one factor a channel."""
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


def concat(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    if attributes["axis"] != 1:
        raise NotOurs
    name, *more = node.input
    if len(more) == 1 and isinstance(waiting := planner.waiting(more[0]), Waiting):
        spec = waiting.spec
        kept = planner.value(name)
        if isinstance(spec, Convolution) and name != more[0]:
            target = spec.target
            joined = replace(target, channels=kept.view.channels + target.channels)
            planner.values[node.output[0]] = replace(
                waiting,
                spec=replace(spec, kept=kept.view, target=joined),
                inputs=(*waiting.inputs, kept.buffer),
            )
            planner.value(node.output[0])
            return
    sources = [planner.value(one) for one in node.input]
    channels = sum(one.view.channels for one in sources)
    first = sources[0].view.map
    target = planner.map(node.output[0], first.height, first.width, channels)
    spec_of_all = Concat(sources=tuple(one.view for one in sources), target=target)
    buffers = tuple(one.buffer for one in sources)
    planner.call(spec_of_all, buffers, node.output[0])


def slice_channels(planner: Planner, node: onnx.NodeProto, _: Attributes) -> None:
    if len(node.input) < 4:
        raise NotOurs
    bounds = [planner.constant(name).tolist() for name in node.input[1:]]
    starts, stops, axes, steps = (*bounds, [1])[:4]
    source = planner.value(node.input[0])
    if axes != [1] or steps[0] < 1:
        raise NotOurs
    view = source.view
    taken = range(view.channels)[starts[0] : stops[0] : steps[0]]
    planner.values[node.output[0]] = Value(
        buffer=source.buffer,
        view=View(
            map=view.map,
            start=view.start + taken.start * view.step,
            step=view.step * taken.step,
            channels=len(taken),
        ),
    )


def max_pool(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    kernel, stride = attributes["kernel_shape"], attributes.get("strides", [1, 1])
    padding = attributes.get("pads", [0, 0, 0, 0])
    if (
        any(len(set(one)) != 1 for one in (kernel, stride, padding))
        or padding[0] * 2 > kernel[0]
        or attributes.get("ceil_mode")
        or set(attributes.get("dilations", [1])) != {1}
        or attributes.get("auto_pad", b"NOTSET") != b"NOTSET"
    ):
        raise NotOurs
    source = planner.value(node.input[0])
    height, width = (
        (size + 2 * padding[0] - kernel[0]) // stride[0] + 1
        for size in (source.view.map.height, source.view.map.width)
    )
    target = planner.map(node.output[0], height, width, source.view.channels)
    spec = MaxPool(
        source=source.view,
        target=target,
        kernel=kernel[0],
        stride=stride[0],
        padding=padding[0],
    )
    planner.call(spec, (source.buffer,), node.output[0])


def global_mean(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    if node.op_type == "ReduceMean" and attributes.get("axes") not in ([2, 3], [-2, -1]):
        raise NotOurs
    source = planner.value(node.input[0])
    target = planner.map(node.output[0], 1, 1, source.view.channels)
    spec = GlobalMean(source=source.view, target=target)
    planner.call(spec, (source.buffer,), node.output[0])


def same(planner: Planner, node: onnx.NodeProto, _: Attributes) -> None:
    """Plan what only renames: Identity, and Flatten of a map of one pixel."""
    value = planner.value(node.input[0])
    if node.op_type != "Identity" and value.view.map.height * value.view.map.width != 1:
        raise NotOurs
    planner.values[node.output[0]] = value


def reduce_l2(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    """Keep the norm in mind: only the division by it is a kernel."""
    source = planner.value(node.input[0])
    is_vector = source.view.map.height * source.view.map.width == 1
    if attributes.get("axes") not in ([1], [-1]) or not is_vector:
        raise NotOurs
    planner.norms[node.output[0]] = (node.input[0], 0.0)


def smallest_norm(planner: Planner, node: onnx.NodeProto, _: Attributes) -> None:
    norm, smallest = node.input
    if norm not in planner.norms or planner.constant(smallest).size != 1:
        raise NotOurs
    of, _smallest = planner.norms[norm]
    planner.norms[node.output[0]] = (of, float(planner.constant(smallest).reshape(-1)[0]))


def normalise(planner: Planner, node: onnx.NodeProto, _: Attributes) -> None:
    divided, norm = node.input
    if norm not in planner.norms or planner.norms[norm][0] != divided:
        raise NotOurs
    source = planner.value(divided)
    target = planner.map(node.output[0], 1, 1, source.view.channels)
    spec = Normalise(source=source.view, target=target, smallest=planner.norms[norm][1])
    planner.call(spec, (source.buffer,), node.output[0])


Rule = Callable[[Planner, onnx.NodeProto, Attributes], None]

RULES: dict[str, Rule] = {
    "Add": add,
    "Concat": concat,
    "Conv": conv,
    "Div": normalise,
    "Flatten": same,
    "Gemm": dense,
    "GlobalAveragePool": global_mean,
    "Identity": same,
    "MatMul": dense,
    "Max": smallest_norm,
    "MaxPool": max_pool,
    "Mul": mul,
    "ReduceL2": reduce_l2,
    "ReduceMean": global_mean,
    "Relu": relu,
    "Slice": slice_channels,
}
