"""How sums, products and batch norms become kernels.

One factor or shift for each channel becomes part of the weights before it. A sum of two maps is the
residual of one of them. Whatever else there is to combine is a kernel that repeats what is smaller.
"""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx

from cmpc_cost_models.plans.calls import NotOurs, Value, Waiting
from cmpc_cost_models.plans.planner import Planner
from cmpc_cost_models.plans.rules.activations import gated
from cmpc_cost_models.plans.specs import Binary

__all__ = ["arithmetic", "batch_norm", "total"]

Attributes = dict[str, Any]
Vector = npt.NDArray[np.float64]
Operator = Literal["add", "div", "max", "min", "mul", "pow", "sub"]

OPERATORS: dict[str, Operator] = {
    "Add": "add",
    "Div": "div",
    "Max": "max",
    "Min": "min",
    "Mul": "mul",
    "Pow": "pow",
    "Sub": "sub",
    "Sum": "add",
}


def arithmetic(planner: Planner, node: onnx.NodeProto, _: Attributes) -> None:
    """Plan an operator of two tensors, either of which may be constant or smaller."""
    if len(node.input) != 2:
        raise NotOurs("our operators take two tensors")
    left, right = node.input
    operator, result = OPERATORS[node.op_type], node.output[0]
    if operator == "pow" and planner.is_constant(right) and np.all(planner.constant(right) == 2):
        operator, right = "mul", left
    if operator == "mul" and gated(planner, node):
        return
    line = _as_line(planner, operator, (left, right), result)
    if line is not None:
        data, scale, shift = line
        affine(planner, data, (scale, shift), result)
    elif operator == "add" and _is_residual(planner, left, right):
        _residual(planner, left, right, result)
    else:
        _binary(planner, operator, (left, right), result)


def total(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    """Plan the sum of any number of tensors as sums of two."""
    first, *others = node.input
    if not others:
        planner.values[node.output[0]] = planner.value(first)
    for index, other in enumerate(others):
        is_last = index == len(others) - 1
        result = node.output[0]
        if not is_last:
            result = planner.made_up(result, f"sum {index}")
        if is_last and index == 0:
            arithmetic(planner, node, attributes)
            return
        _binary(planner, "add", (first, other), result, like=node.output[0])
        first = result


def batch_norm(planner: Planner, node: onnx.NodeProto, attributes: Attributes) -> None:
    if attributes.get("training_mode") or attributes.get("spatial", 1) != 1:
        raise NotOurs("a batch norm must use fixed statistics of each channel")
    if any(node.output[1:]):
        raise NotOurs("only the first result of a batch norm is ours")
    gamma, beta, mean, variance = (
        planner.constant(name).astype(np.float64) for name in node.input[1:]
    )
    scale = gamma / np.sqrt(variance + attributes.get("epsilon", 1e-5))
    affine(planner, node.input[0], (scale, beta - mean * scale), node.output[0])


def affine(planner: Planner, data: str, line: tuple[Vector, Vector], result: str) -> None:
    """Plan ``data * scale + shift`` with one of each a channel."""
    scale, shift = line
    waiting = planner.waiting(data)
    if waiting is None or not waiting.is_linear:
        waiting = planner.identity(data, result)
    first, second = waiting.constants  # channels are the last axis of both
    constants = (first * scale, second * scale + shift)
    planner.values[result] = replace(waiting, constants=constants)


def _as_line(
    planner: Planner, operator: Operator, names: tuple[str, str], result: str
) -> tuple[str, Vector, Vector] | None:
    """Return (data, scale, shift) if the operator is such a line of its one computed input."""
    left, right = names
    data, factor = (right, left) if planner.is_constant(left) else (left, right)
    if not planner.is_constant(factor) or planner.shape(data) != planner.shape(result):
        return None
    vector = _per_channel(planner, factor, data)
    if vector is None:
        return None
    ones, zeros = np.ones_like(vector), np.zeros_like(vector)
    is_left = data == left
    lines = {
        "add": (ones, vector),
        "mul": (vector, zeros),
        "sub": (ones, -vector) if is_left else (-ones, vector),
    }
    if operator == "div" and is_left and vector.all():
        lines["div"] = (1 / vector, zeros)
    return (data, *lines[operator]) if operator in lines else None


def _per_channel(planner: Planner, name: str, data: str) -> Vector | None:
    """Return the constant ``name`` as one number for each channel of ``data``, if it is that."""
    values, shape = planner.constant(name), planner.shape(data)
    if len(shape) not in (2, 4) or values.ndim > len(shape):
        return None
    channels = ((1,) * (len(shape) - values.ndim) + values.shape)[1]
    if values.size != channels or channels not in (1, shape[1]):
        return None
    return np.broadcast_to(values.reshape(-1).astype(np.float64), (shape[1],))


def _is_residual(planner: Planner, left: str, right: str) -> bool:
    is_computed = not planner.is_constant(left) and not planner.is_constant(right)
    return is_computed and planner.shape(left) == planner.shape(right)


def _residual(planner: Planner, left: str, right: str, result: str) -> None:
    waiting, other = planner.waiting(right), left
    if waiting is None or not waiting.is_linear:
        waiting, other = planner.waiting(left), right
    if waiting is None or not waiting.is_linear:
        waiting, other = planner.identity(left, result), right
    residual, spec = planner.value(other), waiting.spec
    assert not isinstance(spec, Binary)  # they are not linear
    planner.values[result] = replace(
        waiting,
        spec=replace(spec, residual=residual.view),
        inputs=(*waiting.inputs, residual.buffer),
    )


def _binary(
    planner: Planner,
    operator: Operator,
    names: tuple[str, str],
    result: str,
    *,
    like: str | None = None,
) -> None:
    """Plan an operator of two maps; ``result`` has the shape of ``like``."""
    shape = planner.shape(like or result)
    target = replace(planner.map(like or result), border=0)
    left, right = (_operand(planner, name, len(shape)) for name in names)
    for view in (left.view, right.view):
        sizes = (view.channels, view.map.height, view.map.width)
        full = (target.channels, target.height, target.width)
        if any(one not in (1, whole) for one, whole in zip(sizes, full, strict=True)):
            raise NotOurs("an operand must fit the result")
    spec = Binary(operator=operator, left=left.view, right=right.view, target=target)
    planner.values[result] = Waiting(
        spec=spec, inputs=(left.buffer, right.buffer), constants=(), root=result
    )


def _operand(planner: Planner, name: str, rank: int) -> Value:
    is_known = name in planner.values  # a partial sum has no shape of its own
    return planner.value(name) if is_known else planner.operand(name, rank)
