"""How functions of single numbers become part of the kernel before them."""

import math
from dataclasses import replace

import onnx

from cmpc_cost_models.graphs.parts import Attributes
from cmpc_cost_models.plans.draft import Draft
from cmpc_cost_models.plans.plan import FusableKernel, NotOurs
from cmpc_cost_models.plans.specs import RELU, Activation, ActivationKind, Affine

__all__ = ["activation", "prelu"]

PLAIN: dict[str, ActivationKind] = {
    "Abs": "abs",
    "Erf": "erf",
    "Exp": "exp",
    "HardSwish": "hard_swish",
    "Log": "log",
    "Neg": "neg",
    "Reciprocal": "reciprocal",
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Sqrt": "sqrt",
    "Tanh": "tanh",
}


def activation(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> FusableKernel:
    return _applied(draft, node.input[0], _activation_of(draft, node, attributes))


def _applied(draft: Draft, source: str, what: Activation) -> FusableKernel:
    """Return ``what(source)`` as part of the kernel of ``source`` if that still waits."""
    kernel = draft.fusable(source)
    if kernel is None or kernel.spec.activation:
        kernel = draft.identity(source)
    return replace(kernel, spec=replace(kernel.spec, activation=what))


def prelu(draft: Draft, node: onnx.NodeProto, _: Attributes) -> FusableKernel:
    data, slopes = node.input[0], draft.constant(node.input[1])
    channels, rank = draft.map(data).channels, len(draft.shape(data))
    if slopes.size == 1:
        slope = Activation(kind="leaky", alpha=float(slopes.reshape(-1)[0]))
        return _applied(draft, data, slope)
    padded = (1,) * (rank - slopes.ndim) + slopes.shape
    if slopes.size != channels or padded[1] != channels:
        raise NotOurs("slopes must be one number, or one a channel")
    kernel = draft.identity(data)
    assert isinstance(kernel.spec, Affine)
    return replace(
        kernel,
        spec=replace(kernel.spec, has_slopes=True),
        constants=(*kernel.constants, slopes.reshape(-1)),
    )


def _activation_of(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> Activation:
    operator, given = node.op_type, attributes.get
    if operator in PLAIN:
        return Activation(kind=PLAIN[operator])
    if operator == "Clip":
        limits = draft.graph.clip_limits(node)
        if limits is None:
            raise NotOurs("the limits of a Clip must be constant")
        is_relu = limits == (0.0, math.inf)
        return RELU if is_relu else Activation(kind="clip", alpha=limits[0], beta=limits[1])
    if operator == "HardSigmoid":
        return Activation(kind="hard_sigmoid", alpha=given("alpha", 0.2), beta=given("beta", 0.5))
    if operator == "Gelu" and given("approximate", b"none") == b"none":
        return Activation(kind="gelu")
    defaults: dict[str, tuple[ActivationKind, float]] = {
        "Elu": ("elu", 1.0),
        "LeakyRelu": ("leaky", 0.01),
        "Swish": ("swish", 1.0),
    }
    if operator not in defaults:
        raise NotOurs(f"{operator} is none of our functions")
    kind, alpha = defaults[operator]
    return Activation(kind=kind, alpha=given("alpha", alpha))
