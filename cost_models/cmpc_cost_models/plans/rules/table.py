"""Which rule plans which operator?

A rule answers with what becomes of the node's results, in their order, and raises ``NotOurs`` for
whatever our kernels don't do. It may be strict, then, but never approximate.
"""

from collections.abc import Callable

import onnx

from cmpc_cost_models.graphs.parts import ONNX_DOMAINS, Attributes
from cmpc_cost_models.graphs.patterns.base import OWN_DOMAIN
from cmpc_cost_models.plans.draft import Draft
from cmpc_cost_models.plans.plan import Planned
from cmpc_cost_models.plans.rules import activations, arithmetic, layers, norms, pools, shapes

__all__ = ["Rule", "rule_for"]

Rule = Callable[[Draft, onnx.NodeProto, Attributes], Planned | tuple[Planned, ...]]

ONNX_RULES: dict[str, Rule] = {
    "Abs": activations.activation,
    "Add": arithmetic.arithmetic,
    "AveragePool": pools.mean_pool,
    "BatchNormalization": arithmetic.batch_norm,
    "Clip": activations.activation,
    "Concat": shapes.concat,
    "Conv": layers.conv,
    "Div": arithmetic.arithmetic,
    "Elu": activations.activation,
    "Erf": activations.activation,
    "Exp": activations.activation,
    "Flatten": shapes.reshape,
    "Gelu": activations.activation,
    "Gemm": layers.dense,
    "GlobalAveragePool": pools.global_pool,
    "GlobalMaxPool": pools.global_pool,
    "HardSigmoid": activations.activation,
    "HardSwish": activations.activation,
    "Identity": shapes.same,
    "LRN": norms.local_norm,
    "LeakyRelu": activations.activation,
    "Log": activations.activation,
    "MatMul": layers.dense,
    "Max": arithmetic.arithmetic,
    "MaxPool": pools.max_pool,
    "Min": arithmetic.arithmetic,
    "Mul": arithmetic.arithmetic,
    "Neg": activations.activation,
    "PRelu": activations.prelu,
    "Pad": shapes.pad,
    "Pow": arithmetic.arithmetic,
    "Reciprocal": activations.activation,
    "ReduceMax": pools.global_pool,
    "ReduceMean": pools.global_pool,
    "Relu": activations.activation,
    "Reshape": shapes.reshape,
    "Resize": shapes.resize,
    "Sigmoid": activations.activation,
    "Slice": shapes.slice_channels,
    "Softmax": norms.softmax,
    "Softplus": activations.activation,
    "Split": shapes.split,
    "Sqrt": activations.activation,
    "Squeeze": shapes.reshape,
    "Sub": arithmetic.arithmetic,
    "Sum": arithmetic.total,
    "Swish": activations.activation,
    "Tanh": activations.activation,
    "Transpose": shapes.transpose,
    "Unsqueeze": shapes.reshape,
}

OWN_RULES: dict[str, Rule] = {
    "ChannelShuffle": shapes.shuffle,
    "UnitLength": norms.unit_length,
}


def rule_for(node: onnx.NodeProto) -> Rule | None:
    """Return the rule for a node of a graph or of a pattern, ``None`` where there is none."""
    if node.domain in ONNX_DOMAINS:
        return ONNX_RULES.get(node.op_type)
    return OWN_RULES.get(node.op_type) if node.domain == OWN_DOMAIN else None
