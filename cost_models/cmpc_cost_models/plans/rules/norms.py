"""How norms and the softmax become kernels."""

import onnx

from cmpc_cost_models.graphs.parts import Attributes
from cmpc_cost_models.plans.draft import Draft
from cmpc_cost_models.plans.maps import Map, View
from cmpc_cost_models.plans.plan import Image, Kernel, NotOurs
from cmpc_cost_models.plans.specs import LocalNorm, Normalise, Softmax

__all__ = ["local_norm", "softmax", "unit_length"]


def unit_length(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> Kernel:
    """Plan UnitLength, see ``graphs.patterns.unit_length``."""
    source, target = draft.value(node.input[0]), draft.map(node.output[0])
    spec = Normalise(source=source.view, target=target, smallest=attributes["smallest"])
    return Kernel.of(spec, source)


def softmax(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> Kernel | Image:
    data, result = node.input[0], node.output[0]
    shape, opset = draft.shape(data), draft.graph.opset
    axis = attributes.get("axis", -1 if opset >= 13 else 1) % max(len(shape), 1)
    if len(shape) not in (2, 4) or axis != 1:
        raise NotOurs("only a softmax over channels is ours")
    if opset < 13 and len(shape) == 4 and shape[2:] != (1, 1):  # over all that follows
        return _softmax_of_all(draft, data, result)
    source, target = draft.value(data), draft.map(result)
    return Kernel.of(Softmax(source=source.view, target=target), source)


def local_norm(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> Kernel:
    source, target = draft.value(node.input[0]), draft.map(node.output[0])
    spec = LocalNorm(
        source=source.view,
        target=target,
        size=attributes["size"],
        alpha=attributes.get("alpha", 1e-4),
        beta=attributes.get("beta", 0.75),
        bias=attributes.get("bias", 1.0),
    )
    return Kernel.of(spec, source)


def _softmax_of_all(draft: Draft, data: str, result: str) -> Image:
    image, target = draft.image(data), draft.map(result)
    whole = Map.vector(target.height * target.width * target.channels)
    spec = Softmax(source=View.whole(whole), target=whole)
    made = draft.call(Kernel.of(spec, image), draft.made_up(result, "image"))
    return Image(buffer=made.buffer, shape=draft.shape(result))
