"""Infer the shapes of a graph's tensors, as runtimes have them.

ONNX infers them, from a copy that has the types of large constants and not their values. In two
things it needs help: before operator set 22 it counts windows of pools that begin after the map,
and a shape that an output is declared to have is checked here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import onnx
from onnx import helper

from cmpc_cost_models.graphs.parts import (
    Shape,
    attributes_of,
    opset_of,
    static_shapes,
    with_attributes,
)
from cmpc_cost_models.graphs.windows import without_windows_outside

__all__ = [
    "LARGE_NUMBERS",
    "Inferred",
    "infer_shapes",
    "require_declared_shapes",
    "with_trimmed_pools",
]


LARGE_NUMBERS = 4096  # no shape is computed from constants larger than that
POOLS = ("AveragePool", "MaxPool")
CEIL_EXCLUDES_PADDING = 22  # the operator set from which shape inference says what runtimes do


@dataclass(frozen=True, kw_only=True, slots=True)
class Inferred:
    """What is known of a graph's tensors.

    Attributes:
        shapes: Of tensors that are no constants, those that are wholly known.
        types: ONNX's numbers of their types.
        value_info: ONNX's records of what lies between inputs and outputs.
        results: And of the outputs.
    """

    shapes: dict[str, Shape] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)
    value_info: tuple[onnx.ValueInfoProto, ...] = ()
    results: tuple[onnx.ValueInfoProto, ...] = ()


def infer_shapes(
    model: onnx.ModelProto,
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, onnx.TensorProto],
    *,
    is_strict: bool = True,
) -> Inferred:
    """Return what follows for the tensors of ``nodes``, which stand in ``model`` now.

    Raises:
        onnx.shape_inference.InferenceError: some node can't be as it is.
    """
    light = _without_large_constants(model, nodes, constants)
    graph = onnx.shape_inference.infer_shapes(light, strict_mode=is_strict, data_prop=True).graph
    results = tuple(
        one if dict(static_shapes([one])) else declared
        for one, declared in zip(graph.output, model.graph.output, strict=True)
    )
    values = (*light.graph.input, *graph.value_info, *results)
    return Inferred(
        shapes=dict(static_shapes(values)),
        types={one.name: one.type.tensor_type.elem_type for one in values},
        value_info=tuple(graph.value_info),
        results=results,
    )


def require_declared_shapes(model: onnx.ModelProto, shapes: Mapping[str, Shape]) -> None:
    """Refuse an output that is declared to have another shape.

    Raises:
        ValueError: there is one.
    """
    for name, declared in static_shapes(model.graph.output):
        if shapes.get(name, declared) != declared:
            raise ValueError(f"output {name!r} is declared as {declared} and has {shapes[name]}")


def with_trimmed_pools(
    model: onnx.ModelProto,
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, onnx.TensorProto],
) -> list[onnx.NodeProto] | None:
    """Return the nodes with pools whose last windows lie inside the map; ``None`` if all do."""
    if opset_of(model) >= CEIL_EXCLUDES_PADDING or not any(map(_is_ceiled, nodes)):
        return None
    trimmed, has_trimmed = list(nodes), False
    while True:  # a pool less each time; what reads too many windows may not fit
        shapes = infer_shapes(model, trimmed, constants, is_strict=False).shapes
        if not _trim_first(trimmed, shapes):
            return trimmed if has_trimmed else None
        has_trimmed = True


def _trim_first(nodes: list[onnx.NodeProto], shapes: Mapping[str, Shape]) -> bool:
    """Let the first pool whose last window would begin after the map end before it."""
    for index, node in enumerate(nodes):
        size = shapes.get(node.input[0] if node.input else "", ())[2:]
        given = attributes_of(node)
        if size and _is_ceiled(node) and (changes := without_windows_outside(size, given)):
            nodes[index] = with_attributes(node, **changes)
            return True
    return False


def _is_ceiled(node: onnx.NodeProto) -> bool:
    return node.op_type in POOLS and bool(attributes_of(node).get("ceil_mode"))


def _without_large_constants(
    model: onnx.ModelProto,
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, onnx.TensorProto],
) -> onnx.ModelProto:
    """Return a model of ``nodes`` whose large constants are inputs and whose results are open."""
    graph, given = onnx.GraphProto(), model.graph
    graph.name = given.name
    graph.node.extend(nodes)
    graph.output.extend(map(_without_shape, given.output))
    graph.input.extend(one for one in given.input if one.name not in constants)
    for name, tensor in constants.items():
        if math.prod(tensor.dims) <= LARGE_NUMBERS:
            graph.initializer.append(tensor)
        else:
            info = helper.make_tensor_value_info(name, tensor.data_type, tensor.dims)
            graph.input.append(info)
    light = helper.make_model(graph, opset_imports=model.opset_import)
    light.ir_version = max(4, model.ir_version)  # constants need not be inputs
    return light


def _without_shape(value: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    result = onnx.ValueInfoProto()
    result.CopyFrom(value)
    if result.type.HasField("tensor_type"):
        result.type.tensor_type.ClearField("shape")
    return result
