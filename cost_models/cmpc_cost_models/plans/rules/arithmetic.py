"""How sums, products and batch norms become kernels.

One factor or shift for each channel becomes part of the weights before it. A sum of two maps is the
residual of one of them. Whatever else there is to combine is a kernel that repeats what is smaller.
"""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx

from cmpc_cost_models.graphs.parts import Attributes
from cmpc_cost_models.plans.draft import Draft
from cmpc_cost_models.plans.maps import Map
from cmpc_cost_models.plans.plan import FusableKernel, NotOurs, Value
from cmpc_cost_models.plans.specs import Binary

__all__ = ["arithmetic", "batch_norm", "total"]
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


def arithmetic(draft: Draft, node: onnx.NodeProto, _: Attributes) -> FusableKernel:
    """Plan an operator of two tensors, either of which may be constant or smaller."""
    if len(node.input) != 2:
        raise NotOurs("our operators take two tensors")
    left, right = node.input
    operator, result = OPERATORS[node.op_type], node.output[0]
    if operator == "pow" and _is_two(draft.graph.constant(right)):
        operator, right = "mul", left
    line = _as_line(draft, operator, (left, right), result)
    if line is not None:
        return _scaled(draft, *line)
    if operator == "add" and _is_residual(draft, left, right):
        return _residual(draft, left, right)
    target = replace(draft.map(result), border=0)
    first, second = (_operand(draft, one, result) for one in (left, right))
    return _binary(operator, first, second, target)


def _is_two(value: npt.NDArray[Any] | None) -> bool:
    return value is not None and bool(np.all(value == 2))


def total(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> FusableKernel | Value:
    """Plan the sum of any number of tensors as sums of two."""
    result, (first, *others) = node.output[0], node.input
    if not others:
        return draft.value(first)
    if len(others) == 1:
        return arithmetic(draft, node, attributes)
    target = replace(draft.map(result), border=0)
    so_far = _operand(draft, first, result)
    for index, other in enumerate(others[:-1]):
        kernel = _binary("add", so_far, _operand(draft, other, result), target)
        so_far = draft.call(kernel, draft.made_up(result, f"sum {index}"))
    return _binary("add", so_far, _operand(draft, others[-1], result), target)


def batch_norm(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> FusableKernel:
    if attributes.get("training_mode") or attributes.get("spatial", 1) != 1:
        raise NotOurs("a batch norm must use fixed statistics of each channel")
    if any(node.output[1:]):
        raise NotOurs("only the first result of a batch norm is ours")
    gamma, beta, mean, variance = (
        draft.constant(name).astype(np.float64) for name in node.input[1:]
    )
    scale = gamma / np.sqrt(variance + attributes.get("epsilon", 1e-5))
    return _scaled(draft, node.input[0], scale, beta - mean * scale)


def _scaled(draft: Draft, data: str, scale: Vector, shift: Vector) -> FusableKernel:
    """Return ``data * scale + shift`` with one of each a channel."""
    kernel = draft.fusable(data)
    if kernel is None or not kernel.is_linear:
        kernel = draft.identity(data)
    first, second = kernel.constants  # channels are the last axis of both
    return replace(kernel, constants=(first * scale, second * scale + shift))


def _as_line(
    draft: Draft, operator: Operator, names: tuple[str, str], result: str
) -> tuple[str, Vector, Vector] | None:
    """Return (data, scale, shift) if the operator is such a line of its one computed input."""
    left, right = names
    data, factor = (right, left) if draft.graph.is_constant(left) else (left, right)
    if not draft.graph.is_constant(factor) or draft.shape(data) != draft.shape(result):
        return None
    vector = _per_channel(draft, factor, data)
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


def _per_channel(draft: Draft, name: str, data: str) -> Vector | None:
    """Return the constant ``name`` as one number for each channel of ``data``, if it is that."""
    values, shape = draft.constant(name), draft.shape(data)
    if len(shape) not in (2, 4) or values.ndim > len(shape):
        return None
    channels = ((1,) * (len(shape) - values.ndim) + values.shape)[1]
    if values.size != channels or channels not in (1, shape[1]):
        return None
    return np.broadcast_to(values.reshape(-1).astype(np.float64), (shape[1],))


def _is_residual(draft: Draft, left: str, right: str) -> bool:
    is_computed = not draft.graph.is_constant(left) and not draft.graph.is_constant(right)
    return is_computed and draft.shape(left) == draft.shape(right)


def _residual(draft: Draft, left: str, right: str) -> FusableKernel:
    kernel, other = draft.fusable(right), left
    if kernel is None or not kernel.is_linear:
        kernel, other = draft.fusable(left), right
    if kernel is None or not kernel.is_linear:
        kernel, other = draft.identity(left), right
    residual, spec = draft.value(other), kernel.spec
    assert not isinstance(spec, Binary)  # they are not linear
    return replace(
        kernel,
        spec=replace(spec, residual=residual.view),
        inputs=(*kernel.inputs, residual.buffer),
    )


def _operand(draft: Draft, name: str, result: str) -> Value:
    return draft.operand(name, len(draft.shape(result)))


def _binary(operator: Operator, left: Value, right: Value, target: Map) -> FusableKernel:
    """Return an operator of two maps, of which either may be repeated to fill the target."""
    for view in (left.view, right.view):
        sizes = (view.channels, view.map.height, view.map.width)
        full = (target.channels, target.height, target.width)
        if any(one not in (1, whole) for one, whole in zip(sizes, full, strict=True)):
            raise NotOurs("an operand must fit the result")
    spec = Binary(operator=operator, left=left.view, right=right.view, target=target)
    return FusableKernel(spec=spec, inputs=(left.buffer, right.buffer))
