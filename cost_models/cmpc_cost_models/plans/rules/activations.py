"""How functions of single numbers become part of the kernel before them.

A gate, the sigmoid in ``x * sigmoid(x)``, is not computed but remembered: the product with what it
was taken of is a swish. If anybody else reads it, it is computed after all.
"""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import onnx

from cmpc_cost_models.plans.calls import NotOurs
from cmpc_cost_models.plans.planner import Planner
from cmpc_cost_models.plans.specs import RELU, Activation, ActivationKind, Affine

__all__ = ["activation", "apply", "gate", "gated", "limits", "prelu"]

Attributes = dict[str, Any]

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
HARD_SWISH_GATE = (1 / 6, 0.5)


def activation(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    apply(planner, node.input[0], _activation_of(planner, node, attributes), node.output[0])


def apply(
    planner: Planner, source: str, what: Activation, result: str, *, num_readers: int = 1
) -> None:
    """Plan ``result = what(source)`` as part of the kernel of ``source`` if that still waits."""
    waiting = planner.waiting(source, num_readers=num_readers)
    if waiting is None or waiting.spec.activation:
        waiting = planner.identity(source, result)
    planner.values[result] = replace(waiting, spec=replace(waiting.spec, activation=what))


def gate(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    """Plan what may turn out to be half of a swish."""
    source, result = node.input[0], node.output[0]
    what = _activation_of(planner, node, attributes)
    planner.map(result)  # it must be one before anybody asks
    planner.gates[result] = (source, what)
    planner.deferred[result] = partial(apply, planner, source, what, result)


def gated(planner: Planner, node: onnx.NodeProto) -> bool:
    """Plan the product of a tensor and its own gate, if ``node`` is one."""
    for source, name in (node.input, node.input[::-1]):
        if name not in planner.gates or planner.num_readers(name) > 1:
            continue
        of, what = planner.gates[name]
        if of == source and (found := _swish_of(what)):
            apply(planner, source, found, node.output[0], num_readers=2)
            return True
    return False


def prelu(planner: Planner, node: onnx.NodeProto, _: Attributes) -> None:
    data, result = node.input[0], node.output[0]
    slopes = planner.constant(node.input[1])
    channels, rank = planner.map(data).channels, len(planner.shape(data))
    if slopes.size == 1:
        slope = Activation(kind="leaky", alpha=float(slopes.reshape(-1)[0]))
        apply(planner, data, slope, result)
        return
    padded = (1,) * (rank - slopes.ndim) + slopes.shape
    if slopes.size != channels or padded[1] != channels:
        raise NotOurs("slopes must be one number, or one a channel")
    waiting = planner.identity(data, result)
    assert isinstance(waiting.spec, Affine)
    planner.values[result] = replace(
        waiting,
        spec=replace(waiting.spec, has_slopes=True),
        constants=(*waiting.constants, slopes.reshape(-1)),
    )


def _swish_of(what: Activation) -> Activation | None:
    if what.kind == "sigmoid":
        return Activation(kind="swish", alpha=1.0)
    is_hard = what.kind == "hard_sigmoid" and np.allclose((what.alpha, what.beta), HARD_SWISH_GATE)
    return Activation(kind="hard_swish") if is_hard else None


def _activation_of(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> Activation:
    operator, given = node.op_type, attributes.get
    if operator in PLAIN:
        return Activation(kind=PLAIN[operator])
    if operator == "Clip":
        low, high = limits(planner, node, attributes)
        is_relu = (low, high) == (0.0, math.inf)
        return RELU if is_relu else Activation(kind="clip", alpha=low, beta=high)
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


def limits(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> tuple[float, float]:
    """Return the lowest and highest of a Clip; they were attributes up to operator set 10."""
    inputs = [*node.input[1:], "", ""][:2]
    limits = [attributes.get("min", -math.inf), attributes.get("max", math.inf)]
    for index, name in enumerate(inputs):
        if name:
            limits[index] = float(planner.constant(name).reshape(-1)[0])
    return limits[0], limits[1]
