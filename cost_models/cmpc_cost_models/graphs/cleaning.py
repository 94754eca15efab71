"""Make a graph plain before anything is planned: constants computed, inference's no-ops dropped.

What exporters write around the layers (shapes computed from shapes, weights out of nodes, dropout,
casts to the type a tensor has) is constant for one input size. TVM would compile a kernel for each
constant that it folds. Batch norms stay: the planner folds them into whatever they follow.

    Shape, Gather, Concat, ... --> one constant          auto_pad --> pads
    Dropout, Identity, Cast    --> nothing               nodes that nobody reads --> nothing
"""

import json
import math
from collections.abc import Iterable, Iterator

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from cmpc_cost_models.graphs.dialect import in_known_dialect
from cmpc_cost_models.graphs.parts import (
    Array,
    Shape,
    all_inputs,
    attributes_of,
    is_padded_by_rule,
    needed_nodes,
    opset_of,
    reading_from,
    with_attributes,
)
from cmpc_cost_models.graphs.rewriting import Rewriting, rewritten
from cmpc_cost_models.graphs.shape_inference import (
    LARGE_NUMBERS,
    Inferred,
    infer_shapes,
    require_declared_shapes,
    with_trimmed_pools,
)
from cmpc_cost_models.graphs.windows import same_pads

__all__ = ["clean_model", "folded_nodes"]

FOLDED_KEY = "cmpc.folded"  # metadata of a cleaned model: its folded nodes
MOST_ROUNDS = 8  # of inferring shapes and folding what became known
WINDOWED = ("Conv", "AveragePool", "MaxPool")
RANDOM = ("Bernoulli", "Multinomial", "Random")  # how the names of such operators begin


def clean_model(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return an equal model without what is constant or has no effect in inference.

    The shapes of its tensors are inferred as far as they follow from the graph. Names of tensors
    and nodes that stay are the given ones.
    """
    cleaner = _Cleaner(in_known_dialect(model))
    cleaner.infer_shapes()
    for _ in range(MOST_ROUNDS):
        # Large constants wait: inferring shapes serialises all that the graph holds.
        if not cleaner.fold_constants(largest=LARGE_NUMBERS):
            break
        cleaner.infer_shapes()
    cleaner.fold_constants(largest=math.inf)
    cleaner.rewrite_nodes()
    cleaner.drop_no_ops()
    cleaner.write_pads_out()
    return cleaner.result()


def folded_nodes(model: onnx.ModelProto) -> list[tuple[str, str]]:
    """Return name and operator of the nodes that ``clean_model`` removed."""
    found = [one.value for one in model.metadata_props if one.key == FOLDED_KEY]
    return [(name, operator) for value in found for name, operator in json.loads(value)]


class _Cleaner:
    """A graph, its constants and its shapes while it is cleaned."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._nodes = list(model.graph.node)
        self._tensors = {one.name: one for one in model.graph.initializer}
        self._computed: dict[str, Array] = {}  # constants that were nodes
        self._given_names = {name for node in self._nodes for name in node.output}
        self._given_names |= {*self._tensors, *(one.name for one in model.graph.input)}
        self._num_made = 0
        self._has_trimmed = False
        self._inferred = Inferred()
        self._outputs = {one.name for one in model.graph.output}

    @property
    def _shapes(self) -> dict[str, Shape]:
        return self._inferred.shapes

    @property
    def _types(self) -> dict[str, int]:
        return self._inferred.types

    def infer_shapes(self) -> None:
        """Infer all shapes; pools whose last windows ONNX counts wrongly are rewritten for it.

        Raises:
            ValueError: an output is declared to have another shape.
        """
        constants = dict(self._constants())
        trimmed = with_trimmed_pools(self._model, self._nodes, constants)
        self._has_trimmed |= trimmed is not None
        self._nodes = trimmed or self._nodes
        self._inferred = infer_shapes(self._model, self._nodes, constants)
        if not self._has_trimmed:  # else who declared shapes may have inferred them as ONNX does
            require_declared_shapes(self._model, self._inferred.shapes)

    def fold_constants(self, *, largest: float) -> int:
        """Compute nodes of constants whose results have up to ``largest`` numbers; count them."""
        left = []
        for node in self._nodes:
            values = self._values_of(node, largest)
            if values is None or self._outputs.intersection(node.output):
                left.append(node)
            else:
                self._computed.update(values)
        num_folded = len(self._nodes) - len(left)
        self._nodes = left
        return num_folded

    def rewrite_nodes(self) -> None:
        """Replace operators that nobody knows by what they consist of."""
        nodes = []
        for node in self._nodes:
            rewriting = Rewriting(
                shape_of=self._shapes.get,
                constant_of=lambda name: self._constant(name) if self._is_constant(name) else None,
                new_name=self._new_name,
                opset=opset_of(self._model),
            )
            if rewritten(node, rewriting):
                nodes += rewriting.nodes
                self._computed |= rewriting.constants
            else:
                nodes.append(node)
        if nodes != self._nodes:
            self._nodes = nodes
            self.infer_shapes()

    def _new_name(self, near: str) -> str:
        """Return another name for a tensor at each call, and none that the graph has."""
        while True:
            self._num_made += 1
            name = f"{near}:{self._num_made}"
            if name not in self._given_names:
                return name

    def drop_no_ops(self) -> None:
        """Let readers of what only passes a tensor on read that tensor itself."""
        sources: dict[str, str] = {}
        left = []
        for node in self._nodes:
            node = reading_from(node, sources)
            if self._passes_on(node) and node.output[0] not in self._outputs:
                sources[node.output[0]] = node.input[0]
            else:
                left.append(node)
        self._nodes = left

    def write_pads_out(self) -> None:
        """Replace ``auto_pad`` by the pads that it stands for."""
        for index, node in enumerate(self._nodes):
            given = attributes_of(node)
            rule = given.get("auto_pad", b"").decode()
            size = self._shapes.get(node.input[0] if node.input else "", ())[2:]
            if node.op_type not in WINDOWED or not is_padded_by_rule(given):
                continue
            kernel = given.get("kernel_shape") or self._shape_of_constant(node.input[1])[2:]
            if not size or not kernel:
                continue
            pads = same_pads(size, kernel, given) if rule.startswith("SAME") else ([0], [0])
            first, last = pads if rule != "SAME_LOWER" else pads[::-1]
            whole = [0] * (2 * len(size)) if rule == "VALID" else [*first, *last]
            self._nodes[index] = with_attributes(node, pads=whole, auto_pad=None)

    def result(self) -> onnx.ModelProto:
        """Return the graph of what the outputs depend on."""
        nodes = needed_nodes(self._nodes, self._outputs)
        read = {name for node in nodes for name in all_inputs(node)} | self._outputs
        given = self._model.graph
        graph = onnx.GraphProto()
        graph.name = given.name
        graph.node.extend(nodes)
        graph.initializer.extend(tensor for name, tensor in self._constants() if name in read)
        graph.input.extend(one for one in given.input if one.name not in self._tensors)
        graph.output.extend(self._inferred.results)
        made = {name for node in nodes for name in node.output} - self._outputs
        graph.value_info.extend(one for one in self._inferred.value_info if one.name in made)
        model = helper.make_model(graph, opset_imports=self._model.opset_import)
        model.ir_version = max(4, self._model.ir_version)
        self._note_folded(model, nodes)
        return model

    def _note_folded(self, model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
        left = {output for node in nodes for output in node.output}
        folded = folded_nodes(self._model)
        for node in self._model.graph.node:
            if not left.intersection(node.output):
                folded.append((node.name or node.output[0], node.op_type))
        helper.set_model_props(model, {FOLDED_KEY: json.dumps(folded)})

    def _constants(self) -> Iterator[tuple[str, onnx.TensorProto]]:
        yield from self._tensors.items()
        for name, value in self._computed.items():
            yield name, numpy_helper.from_array(value, name)

    def _constant(self, name: str) -> Array:
        if name in self._computed:
            return self._computed[name]
        return numpy_helper.to_array(self._tensors[name])

    def _is_constant(self, name: str) -> bool:
        return not name or name in self._tensors or name in self._computed

    def _shape_of_constant(self, name: str) -> Shape:
        if name in self._tensors:
            return tuple(self._tensors[name].dims)
        return self._computed[name].shape if name in self._computed else self._shapes.get(name, ())

    def _values_of(self, node: onnx.NodeProto, largest: float) -> dict[str, Array] | None:
        """Return the results of a node that depends on nothing, or ``None``."""
        if node.op_type == "Shape" and node.input[0] in self._shapes:
            given, shape = attributes_of(node), self._shapes[node.input[0]]
            part = shape[given.get("start", 0) : given.get("end", len(shape))]
            return {node.output[0]: np.array(part, np.int64)}
        if node.op_type.startswith(RANDOM) or any(one.HasField("g") for one in node.attribute):
            return None
        if not all(map(self._is_constant, node.input)):
            return None
        sizes = [math.prod(self._shapes[one]) for one in node.output if one in self._shapes]
        if not sizes or max(sizes) > largest:
            return None
        return self._computed_values(node)

    def _computed_values(self, node: onnx.NodeProto) -> dict[str, Array] | None:
        """Return the results of a node of constants; ``None`` if ONNX's reference doesn't do it."""
        given = {name: self._constant(name) for name in node.input if name}
        outputs = [name for name in node.output if name]
        function = helper.make_function(
            "cmpc", "constant", list(given), outputs, [node], self._model.opset_import
        )
        try:
            values = ReferenceEvaluator(function).run(None, given, {})
        except Exception:  # it doesn't do every operator, and fails as each of them likes
            return None
        return {name: np.asarray(one) for name, one in zip(outputs, values, strict=True)}

    def _is_read(self, names: Iterable[str]) -> bool:
        read = {name for node in self._nodes for name in all_inputs(node)} | self._outputs
        return not read.isdisjoint(names)

    def _passes_on(self, node: onnx.NodeProto) -> bool:
        data, result = (*node.input, "")[0], node.output[0]
        if node.op_type == "Identity":
            return True
        if node.op_type == "Dropout":
            is_training = len(node.input) > 2 and node.input[2]
            if is_training and self._is_constant(node.input[2]):
                is_training = bool(self._constant(node.input[2]))
            return not is_training and not self._is_read(node.output[1:])
        if node.op_type == "Cast":
            return data in self._types and self._types[data] == self._types.get(result)
        if node.op_type in ("Expand", "Reshape"):
            return data in self._shapes and self._shapes[data] == self._shapes.get(result)
        return node.op_type in ("Concat", "Max", "Mean", "Min", "Sum") and len(node.input) == 1
