"""How pooling becomes kernels."""

import onnx

from cmpc_cost_models.graphs.parts import Attributes, is_padded_by_rule
from cmpc_cost_models.plans.draft import Draft
from cmpc_cost_models.plans.padding import border_of, window_of
from cmpc_cost_models.plans.plan import Kernel, NotOurs
from cmpc_cost_models.plans.specs import GlobalMean, MaxPool, MeanPool, Window

__all__ = ["global_pool", "max_pool", "mean_pool"]


def max_pool(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> Kernel:
    window = _window(draft, node, attributes)
    source, target = draft.value(node.input[0]), draft.map(node.output[0])
    size, result = ((one.height, one.width) for one in (source.view.map, target))
    if window.dilations != (1, 1) and border_of(window, size, result):
        raise NotOurs("a window with gaps must lie inside the map")
    spec = MaxPool(source=source.view, target=target, window=window)
    return Kernel.of(spec, source)


def mean_pool(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> Kernel:
    window = _window(draft, node, attributes)
    if window.dilations != (1, 1):
        raise NotOurs("the mean is only taken of windows without gaps")
    target = draft.map(node.output[0])
    size = draft.shape(node.input[0])[2:]
    border = border_of(window, size, (target.height, target.width))
    source = draft.bordered(draft.value(node.input[0]), border)
    far = attributes.get("pads", [0, 0, 0, 0])[2:]
    counted = tuple(
        (-pad, length + last) if attributes.get("count_include_pad") else (0, length)
        for pad, length, last in zip(window.pads, size, far, strict=True)
    )
    spec = MeanPool(
        source=source.view, target=target, window=window, counted=(counted[0], counted[1])
    )
    return Kernel.of(spec, source)


def global_pool(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> Kernel:
    """Plan GlobalAveragePool, GlobalMaxPool and the reductions over all pixels."""
    if node.op_type.startswith("Reduce"):
        name = (*node.input, "")[1]
        axes = draft.constant(name).tolist() if name else attributes.get("axes", [])
        if len(draft.shape(node.input[0])) != 4 or sorted(axis % 4 for axis in axes) != [2, 3]:
            raise NotOurs("only rows and columns are reduced")
    source, target = draft.value(node.input[0]), draft.map(node.output[0])
    spec = GlobalMean(source=source.view, target=target, is_max="Max" in node.op_type)
    return Kernel.of(spec, source)


def _window(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> Window:
    kernel, pads = attributes["kernel_shape"], attributes.get("pads", [0, 0, 0, 0])
    if len(kernel) != 2 or any(node.output[1:]) or min(pads) < 0 or is_padded_by_rule(attributes):
        raise NotOurs("only pools of two dimensions with explicit pads and one result are ours")
    window = window_of(attributes, kernel)
    size, result = (draft.shape(name)[2:] for name in (node.input[0], node.output[0]))
    axes = zip(size, result, kernel, window.strides, window.pads, strict=True)
    if any(
        pad >= taps or (count - 1) * step - pad >= length for length, count, taps, step, pad in axes
    ):
        raise NotOurs("every window must see a pixel")
    return window
