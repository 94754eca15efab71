"""Turn an ONNX graph into calls of our kernels, or find that it holds what they don't do.

A rule raises ``NotOurs`` for whatever its kernel doesn't do; the whole graph then goes through
TVM's own importer. A rule may be strict, then, but never approximate.

    ONNX nodes --> Plan: [Call(spec, inputs, constants, output), ...]
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import helper

from cmpc_cost_models.counted import input_and_output_shape, known_shapes
from cmpc_cost_models.lowering import arithmetic_rules, shape_rules
from cmpc_cost_models.lowering.kernel_specs import (
    Concat,
    ImageToMap,
    Map,
    View,
)
from cmpc_cost_models.lowering.planner import Call, NotOurs, Planner

__all__ = ["Plan", "plan_network"]

OUTPUT = "cmpc_output"  # a buffer that no graph names

Attributes = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All calls of a network, in order; the last fills the output."""

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    calls: tuple[Call, ...]


def plan_network(model: onnx.ModelProto) -> Plan | None:
    """Return the calls that compute ``model``, or ``None`` if our kernels don't do all of it."""
    graph = model.graph
    input_shape, output_shape = input_and_output_shape(model)
    if len(input_shape) != 4 or input_shape[0] != 1 or len(output_shape) != 2:
        return None
    planner = Planner(graph)
    [entry] = [one.name for one in graph.input if not planner.is_constant(one.name)]
    _, channels, height, width = input_shape
    target = planner.map(entry, height, width, channels)
    planner.call(ImageToMap(target=target), (entry,), entry)
    shapes = known_shapes(model)
    try:
        for node in graph.node:
            if node.op_type not in RULES:
                return None
            RULES[node.op_type](planner, node, _attributes(node))
            _check_shape(planner, node.output[0], shapes.get(node.output[0]))
        _finish(planner, graph.output[0].name)
    except NotOurs:
        return None
    return Plan(input_shape=input_shape, output_shape=output_shape, calls=tuple(planner.calls))


def _finish(planner: Planner, output: str) -> None:
    """Make the last call fill a buffer that is the output and nothing else."""
    value = planner.value(output)
    plain = Map(height=1, width=1, channels=value.view.channels)
    if value.buffer != planner.calls[-1].output or value.view != View.whole(plain):
        planner.call(Concat(sources=(value.view,), target=plain), (value.buffer,), OUTPUT)


def _check_shape(planner: Planner, name: str, shape: tuple[int, ...] | None) -> None:
    """Let no rule overlook a broadcast or a rank that it doesn't handle."""
    planned = planner.shape(name)
    if planned is not None and shape not in (planned, _as_vector(planned)):
        raise NotOurs(f"{name} is planned as {planned} and is {shape}")


def _as_vector(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    return shape[:2] if shape[2:] == (1, 1) else None


def _attributes(node: onnx.NodeProto) -> Attributes:
    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


Rule = Callable[[Planner, onnx.NodeProto, Attributes], None]

RULES: dict[str, Rule] = {
    "Add": arithmetic_rules.add,
    "Concat": shape_rules.concat,
    "Conv": arithmetic_rules.conv,
    "Div": shape_rules.normalise,
    "Flatten": shape_rules.same,
    "Gemm": arithmetic_rules.dense,
    "GlobalAveragePool": shape_rules.global_mean,
    "Identity": shape_rules.same,
    "MatMul": arithmetic_rules.dense,
    "Max": shape_rules.smallest_norm,
    "MaxPool": shape_rules.max_pool,
    "Mul": arithmetic_rules.mul,
    "ReduceL2": shape_rules.reduce_l2,
    "ReduceMean": shape_rules.global_mean,
    "Relu": arithmetic_rules.relu,
    "Slice": shape_rules.slice_channels,
}
