"""How convolutions and dense layers become kernels.

Nothing here is called at once: a kernel waits for the batch norm, the residual or the activation
that alone reads its result and takes them in.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from cmpc_cost_models.graphs.parts import Attributes, is_padded_by_rule
from cmpc_cost_models.plans.draft import Draft
from cmpc_cost_models.plans.maps import Map
from cmpc_cost_models.plans.padding import border_of, window_of
from cmpc_cost_models.plans.plan import FusableKernel, NotOurs
from cmpc_cost_models.plans.specs import Convolution

__all__ = ["conv", "dense"]


def conv(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> FusableKernel:
    data = node.input[0]
    weight = draft.constant(node.input[1])
    size, out_size = draft.shape(data)[2:], draft.shape(node.output[0])[2:]
    if weight.ndim != 4 or min(attributes.get("pads", [0])) < 0 or is_padded_by_rule(attributes):
        raise NotOurs("only convolutions of two dimensions with explicit pads are ours")
    out_channels, _, *kernel = weight.shape
    window = window_of(attributes, kernel)
    source = draft.bordered(draft.value(data), border_of(window, size, out_size))
    bias = _bias(draft, node, out_channels)
    spec = Convolution(
        source=source.view,
        target=Map(height=out_size[0], width=out_size[1], channels=out_channels),
        window=window,
        groups=attributes.get("group", 1),
    )
    packed = weight.transpose(2, 3, 1, 0)  # [kH, kW, I / groups, O]
    return FusableKernel(spec=spec, inputs=(source.buffer,), constants=(packed, bias))


def dense(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> FusableKernel:
    data, weight = node.input[0], draft.constant(node.input[1])
    bias_factor = 1.0
    if node.op_type == "Gemm":
        weight = weight.T if attributes.get("transB") else weight
        if (alpha := attributes.get("alpha", 1.0)) != 1.0:
            weight = weight * np.float32(alpha)
        bias_factor = attributes.get("beta", 1.0)
    if weight.ndim != 2 or attributes.get("transA") or len(draft.shape(data)) != 2:
        raise NotOurs("only a vector times a constant matrix is ours")
    source = draft.value(data)
    spec = Convolution(source=source.view, target=Map.vector(weight.shape[1]))
    bias = _bias(draft, node, weight.shape[1]) * bias_factor
    return FusableKernel(spec=spec, inputs=(source.buffer,), constants=(weight, bias))


def _bias(draft: Draft, node: onnx.NodeProto, length: int) -> npt.NDArray[Any]:
    """Return the layer's bias [length]; zeros if it has none."""
    name = (*node.input, "", "")[2]
    bias = draft.constant(name) if name else np.zeros(1)
    if bias.size not in (1, length) or bias.size != bias.shape[-1:][0]:
        raise NotOurs("a bias must have one number for each channel")
    return np.broadcast_to(bias.reshape(-1), (length,))
