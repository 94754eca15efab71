"""Say an operator that neither the rules nor the importer know in operators that they do.

LpNormalization --> ReduceL1 or ReduceL2, Max, Div
Celu            --> Mul, Elu, Mul
Tile            --> Concat, one for each axis
Pow             --> Pow by float32 numbers
Resize of some axes                            --> of all
LayerNormalization by a scale that is repeated --> by one of the size that it stands for
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper

from cmpc_cost_models.graphs.parts import (
    ONNX_DOMAINS,
    Array,
    Attributes,
    Shape,
    attributes_of,
    reading_from,
)

__all__ = ["Rewriting", "rewritten"]


AXES_ARE_INPUTS = 18  # of reductions, from this operator set on
SMALLEST_NORM = np.finfo(np.float32).tiny  # a vector of zeros stays one
MOST_COPIES = 64  # of a tensor in one Concat; more is left to whoever may take it


@dataclass(frozen=True, kw_only=True, slots=True)
class Rewriting:
    """What a node is rewritten with.

    Attributes:
        shape_of: Returns a tensor's shape; ``None`` where it is not known.
        constant_of: Returns a tensor's numbers; ``None`` where it is computed.
        opset: The version of the operators.
        new_name: Returns a name that no tensor has.
        nodes, constants: What comes of it.
    """

    shape_of: Callable[[str], Shape | None]
    constant_of: Callable[[str], Array | None]
    new_name: Callable[[str], str]
    opset: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)

    def constant(self, node: onnx.NodeProto, value: Array) -> str:
        name = self.new_name(node.output[0])
        self.constants[name] = value
        return name

    def add(
        self, node: onnx.NodeProto, operator: str, inputs: list[str], output: str = "", **given: Any
    ) -> str:
        """Add a node in place of ``node``; return what its result is called."""
        output = output or self.new_name(node.output[0])
        self.nodes.append(helper.make_node(operator, inputs, [output], name=node.name, **given))
        return output


def rewritten(node: onnx.NodeProto, what: Rewriting) -> bool:
    """Fill ``what`` with nodes that compute the same as ``node``, if it is to be rewritten."""
    rewrite = _REWRITES.get(node.op_type)
    if rewrite is None or node.domain not in ONNX_DOMAINS:
        return False
    rewrite(node, attributes_of(node), what)
    return bool(what.nodes)


def _lp_normalization(node: onnx.NodeProto, given: Attributes, what: Rewriting) -> None:
    axes = [given.get("axis", -1)]
    operator = {1: "ReduceL1", 2: "ReduceL2"}[given.get("p", 2)]
    if what.opset < AXES_ARE_INPUTS:
        norm = what.add(node, operator, [node.input[0]], axes=axes)
    else:
        norm = what.add(node, operator, [node.input[0], what.constant(node, np.array(axes))])
    smallest = what.constant(node, np.array(SMALLEST_NORM, np.float32))
    norm = what.add(node, "Max", [norm, smallest])
    what.add(node, "Div", [node.input[0], norm], node.output[0])


def _celu(node: onnx.NodeProto, given: Attributes, what: Rewriting) -> None:
    alpha = given.get("alpha", 1.0)
    inverse, factor = (what.constant(node, np.array(one, np.float32)) for one in (1 / alpha, alpha))
    scaled = what.add(node, "Mul", [node.input[0], inverse])
    what.add(node, "Mul", [what.add(node, "Elu", [scaled]), factor], node.output[0])


def _pow(node: onnx.NodeProto, _: Attributes, what: Rewriting) -> None:
    exponent = what.constant_of(node.input[1])
    if exponent is not None and exponent.dtype.kind in "iu":
        name = what.constant(node, exponent.astype(np.float32))
        what.add(node, "Pow", [node.input[0], name], node.output[0])


def _layer_normalization(node: onnx.NodeProto, given: Attributes, what: Rewriting) -> None:
    shape = what.shape_of(node.input[0])
    if shape is None:
        return
    wanted, sources = shape[given.get("axis", -1) % len(shape) :], {}
    for name in filter(None, node.input[1:]):
        value = what.constant_of(name)
        if value is not None and value.shape != wanted:
            sources[name] = what.constant(node, np.broadcast_to(value, wanted))
    if sources:
        what.nodes.append(reading_from(node, sources))


def _resize(node: onnx.NodeProto, given: Attributes, what: Rewriting) -> None:
    """Say scales or sizes of some axes as those of all."""
    shape, names = what.shape_of(node.input[0]), [*node.input, "", "", ""][:4]
    if "axes" not in given or shape is None or names[1] or "keep_aspect_ratio_policy" in given:
        return
    wholes = {2: np.ones(len(shape), np.float32), 3: np.array(shape)}
    for index, whole in wholes.items():
        part = what.constant_of(names[index]) if names[index] else None
        if part is not None and part.size:
            whole[np.array(given["axes"])] = part
            names[index] = what.constant(node, whole)
            kept = {name: value for name, value in given.items() if name != "axes"}
            what.add(node, "Resize", names[: index + 1], node.output[0], **kept)


def _tile(node: onnx.NodeProto, _: Attributes, what: Rewriting) -> None:
    repeats = what.constant_of(node.input[1])
    if repeats is None or not all(1 <= count <= MOST_COPIES for count in repeats.tolist()):
        return
    name = node.input[0]
    for axis, count in enumerate(repeats.tolist()):
        if count > 1:
            name = what.add(node, "Concat", [name] * count, axis=axis)
    what.add(node, "Identity", [name], node.output[0])


_REWRITES: dict[str, Callable[[onnx.NodeProto, Attributes, Rewriting], None]] = {
    "Celu": _celu,
    "LayerNormalization": _layer_normalization,
    "LpNormalization": _lp_normalization,
    "Pow": _pow,
    "Resize": _resize,
    "Tile": _tile,
}
