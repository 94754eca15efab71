"""How norms and the softmax become kernels.

A vector's length is not computed but remembered: only the division by it is a kernel.
"""

import math
from functools import partial
from typing import Any

import onnx

from cmpc_cost_models.plans.calls import NotOurs
from cmpc_cost_models.plans.planner import Planner
from cmpc_cost_models.plans.rules.activations import activation, limits
from cmpc_cost_models.plans.rules.arithmetic import arithmetic
from cmpc_cost_models.plans.specs import LocalNorm, Map, Normalise, Softmax, View

__all__ = ["clip", "expand", "length", "local_norm", "quotient", "smallest_length", "softmax"]

Attributes = dict[str, Any]


def length(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    """Remember the length of a vector: ReduceL2."""
    name = (*node.input, "")[1]
    axes = planner.constant(name).tolist() if name else attributes.get("axes")
    if axes not in ([1], [-1]) or len(planner.shape(node.input[0])) != 2:
        raise NotOurs("only vectors have a length")
    if not attributes.get("keepdims", 1):
        raise NotOurs("the length must keep its axis")
    planner.value(node.input[0])
    _remember(planner, node, (node.input[0], 0.0))


def smallest_length(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    """Plan Max: of a length and the smallest one allowed, or of any two tensors."""
    name = next((one for one in node.input if one in planner.norms), None)
    constants = [planner.constant(one) for one in node.input if planner.is_constant(one)]
    if name is None or len(node.input) != 2 or not constants or constants[0].size != 1:
        arithmetic(planner, node, attributes)
        return
    of, smallest = planner.norms[name]
    _remember(planner, node, (of, max(smallest, float(constants[0].reshape(-1)[0]))))


def clip(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    """Plan Clip: of a length from below, or of any tensor."""
    low, high = limits(planner, node, attributes)
    if node.input[0] in planner.norms and low >= 0 and high == math.inf:
        of, smallest = planner.norms[node.input[0]]
        _remember(planner, node, (of, max(smallest, low)))
    else:
        activation(planner, node, attributes)


def expand(planner: Planner, node: onnx.NodeProto, _: Attributes) -> None:
    """Plan Expand of a length to its vector's: what divides by it divides by that length."""
    norm = planner.norms.get(node.input[0])
    if norm is None or planner.shape(norm[0]) != planner.shape(node.output[0]):
        raise NotOurs("only a length is repeated")
    _remember(planner, node, norm)


def quotient(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    """Plan Div: by a vector's own length, or of any two tensors."""
    divided, norm = node.input
    if planner.norms.get(norm, ("", 0.0))[0] != divided:
        arithmetic(planner, node, attributes)
        return
    source, target = planner.value(divided), planner.map(node.output[0])
    spec = Normalise(source=source.view, target=target, smallest=planner.norms[norm][1])
    planner.call(spec, (source.buffer,), node.output[0])


def softmax(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    data, result = node.input[0], node.output[0]
    shape = planner.shape(data)
    axis = attributes.get("axis", -1 if planner.opset >= 13 else 1) % max(len(shape), 1)
    if len(shape) not in (2, 4) or axis != 1:
        raise NotOurs("only a softmax over channels is ours")
    if planner.opset < 13 and len(shape) == 4 and shape[2:] != (1, 1):  # over all that follows
        _softmax_of_all(planner, data, result)
        return
    source, target = planner.value(data), planner.map(result)
    planner.call(Softmax(source=source.view, target=target), (source.buffer,), result)


def local_norm(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    source, target = planner.value(node.input[0]), planner.map(node.output[0])
    spec = LocalNorm(
        source=source.view,
        target=target,
        size=attributes["size"],
        alpha=attributes.get("alpha", 1e-4),
        beta=attributes.get("beta", 0.75),
        bias=attributes.get("bias", 1.0),
    )
    planner.call(spec, (source.buffer,), node.output[0])


def _softmax_of_all(planner: Planner, data: str, result: str) -> None:
    image, target = planner.image(data), planner.map(result)
    whole = Map.vector(target.height * target.width * target.channels)
    name = planner.made_up(result, "image")
    planner.call(Softmax(source=View.whole(whole), target=whole), (image.buffer,), name)
    planner.hold_image(result, name)


def _remember(planner: Planner, node: onnx.NodeProto, norm: tuple[str, float]) -> None:
    planner.norms[node.output[0]] = norm
    planner.deferred[node.output[0]] = partial(planner.leave_to_importer, node)
