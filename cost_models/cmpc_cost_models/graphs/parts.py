"""What several passes ask of ONNX nodes: attributes, all inputs, known shapes."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy.typing as npt
import onnx
from onnx import helper

__all__ = [
    "ONNX_DOMAINS",
    "Array",
    "Attributes",
    "Shape",
    "all_inputs",
    "attributes_of",
    "is_fixed",
    "is_padded_by_rule",
    "needed_nodes",
    "opset_of",
    "reading_from",
    "static_shapes",
    "with_attributes",
]

Array = npt.NDArray[Any]
Attributes = dict[str, Any]
Shape = tuple[int, ...]

ONNX_DOMAINS = ("", "ai.onnx")


def attributes_of(node: onnx.NodeProto) -> Attributes:
    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def is_padded_by_rule(attributes: Attributes) -> bool:
    """Return whether a layer's pads are not given but follow from ``auto_pad``."""
    return bool(attributes.get("auto_pad", b"NOTSET") != b"NOTSET")


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of ONNX's own operators that a model uses."""
    return max((one.version for one in model.opset_import if one.domain in ONNX_DOMAINS), default=1)


def with_attributes(node: onnx.NodeProto, **changes: Any) -> onnx.NodeProto:
    """Return ``node`` with other attributes; ``None`` takes one away."""
    changed = onnx.NodeProto()
    changed.CopyFrom(node)
    kept = [one for one in node.attribute if one.name not in changes]
    made = [helper.make_attribute(name, one) for name, one in changes.items() if one is not None]
    del changed.attribute[:]
    changed.attribute.extend([*kept, *made])
    return changed


def reading_from(node: onnx.NodeProto, sources: dict[str, str]) -> onnx.NodeProto:
    """Return ``node`` reading the sources of what it reads."""
    if not sources.keys() & set(all_inputs(node)):
        return node
    changed = onnx.NodeProto()
    changed.CopyFrom(node)
    _rename_inputs(changed, sources)
    return changed


def _rename_inputs(node: onnx.NodeProto, sources: dict[str, str]) -> None:
    for index, name in enumerate(node.input):
        node.input[index] = sources.get(name, name)
    for attribute in node.attribute:
        for inner in attribute.g.node:
            _rename_inputs(inner, sources)


def all_inputs(node: onnx.NodeProto) -> Iterator[str]:
    """Yield what a node reads, also from inside its branches and bodies."""
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from all_inputs(inner)
        yield from (one.name for one in attribute.g.output)


def needed_nodes(nodes: list[onnx.NodeProto], outputs: set[str]) -> list[onnx.NodeProto]:
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            needed.update(all_inputs(node))
            kept.append(node)
    return kept[::-1]


def is_fixed(size: onnx.TensorShapeProto.Dimension) -> bool:
    """Return whether a size is known: some exporters write -1 for one that isn't."""
    return size.HasField("dim_value") and size.dim_value >= 0


def static_shapes(values: Iterable[onnx.ValueInfoProto]) -> Iterator[tuple[str, Shape]]:
    for value in values:
        tensor = value.type.tensor_type
        dims = tensor.shape.dim
        if tensor.HasField("shape") and all(is_fixed(dim) for dim in dims):
            yield value.name, tuple(dim.dim_value for dim in dims)
