"""How slices, concatenations, pools and the unit length become views and kernels."""

from dataclasses import replace
from typing import Any

import onnx

from cmpc_cost_models.lowering.kernel_specs import (
    Concat,
    Convolution,
    GlobalMean,
    MaxPool,
    Normalise,
    View,
)
from cmpc_cost_models.lowering.planner import NotOurs, Planner, Value, Waiting

__all__ = [
    "concat",
    "global_mean",
    "max_pool",
    "normalise",
    "reduce_l2",
    "same",
    "slice_channels",
    "smallest_norm",
]

Attributes = dict[str, Any]


def concat(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    if attributes["axis"] != 1:
        raise NotOurs
    waiting = planner.waiting(node.input[-1])
    if len(node.input) == 2 and waiting and isinstance(waiting.spec, Convolution):
        _concat_in_convolution(planner, node, waiting, waiting.spec)
        return
    sources = [planner.value(one) for one in node.input]
    channels = sum(one.view.channels for one in sources)
    first = sources[0].view.map
    target = planner.map(node.output[0], first.height, first.width, channels)
    spec_of_all = Concat(sources=tuple(one.view for one in sources), target=target)
    buffers = tuple(one.buffer for one in sources)
    planner.call(spec_of_all, buffers, node.output[0])


def _concat_in_convolution(
    planner: Planner, node: onnx.NodeProto, waiting: Waiting, spec: Convolution
) -> None:
    """Let the convolution write its result beside what it is concatenated to."""
    kept = planner.value(node.input[0])
    channels = kept.view.channels + spec.target.channels
    planner.values[node.output[0]] = replace(
        waiting,
        spec=replace(spec, kept=kept.view, target=replace(spec.target, channels=channels)),
        inputs=(*waiting.inputs, kept.buffer),
    )
    planner.value(node.output[0])  # it takes in nothing more: what follows concerns both parts


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
