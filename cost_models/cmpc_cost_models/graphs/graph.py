"""A cleaned model as the passes ask about it: its nodes, constants, shapes and types by name."""

import math
from collections import Counter
from collections.abc import Mapping

import onnx
from onnx import TensorProto, numpy_helper

from cmpc_cost_models.graphs.parts import Array, Shape, all_inputs, attributes_of, opset_of

__all__ = ["Graph"]


class Graph:
    """Answers by name what a model holds.

    Args:
        shapes: The shape of each tensor for which it is known; those that are computed may be of
            one image of the model's batch.

    Attributes:
        nodes: In the order in which they can be computed.
        outputs: The names of the results.
        opset: The version of ONNX's operators.
        tensor_names: Of all that a node reads or makes.
    """

    def __init__(self, model: onnx.ModelProto, shapes: Mapping[str, Shape]) -> None:
        graph = model.graph
        self.model, self.opset = model, opset_of(model)
        self.nodes = tuple(graph.node)
        self.outputs = tuple(one.name for one in graph.output)
        self.tensor_names = frozenset(
            name for node in graph.node for name in (*all_inputs(node), *node.output)
        )
        values = (*graph.input, *graph.value_info, *graph.output)
        self._element_types: dict[str, int] = {
            one.name: one.type.tensor_type.elem_type for one in values
        }
        self._constants = {one.name: one for one in graph.initializer}
        self._producers = {name: node for node in graph.node for name in node.output if name}
        self._shapes = shapes
        self._num_readers = Counter(name for node in graph.node for name in all_inputs(node))
        self._num_readers.update(self.outputs)

    @property
    def input_name(self) -> str:
        """The name of the one input that is no constant."""
        names: list[str] = [one.name for one in self.model.graph.input]
        [name] = [one for one in names if not self.is_constant(one)]
        return name

    def is_constant(self, name: str) -> bool:
        return name in self._constants

    def constant(self, name: str) -> Array | None:
        """Return the numbers of ``name``, ``None`` if it is computed."""
        return numpy_helper.to_array(self._constants[name]) if name in self._constants else None

    def number(self, name: str) -> float | None:
        """Return the constant ``name`` if it is one number."""
        value = self.constant(name)
        return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None

    def clip_limits(self, clip: onnx.NodeProto) -> tuple[float, float] | None:
        """Return the lowest and highest of a Clip, attributes up to operator set 10.

        ``None`` where one of them is computed.
        """
        given = attributes_of(clip)
        limits = [given.get("min", -math.inf), given.get("max", math.inf)]
        for index, name in enumerate(clip.input[1:]):
            if name:
                limits[index] = self.number(name)
        low, high = limits
        return None if low is None or high is None else (low, high)

    def shape(self, name: str) -> Shape | None:
        """Return the shape of ``name``, ``None`` where it isn't known."""
        return self._shapes.get(name)

    def element_type(self, name: str) -> int:
        """Return ONNX's number of a tensor's type; float32 where the model doesn't say."""
        return self._element_types.get(name, TensorProto.FLOAT)

    def producer(self, name: str) -> onnx.NodeProto | None:
        """Return the node that computes ``name``, ``None`` for inputs and constants."""
        return self._producers.get(name)

    def num_readers(self, name: str) -> int:
        """Return how often nodes read ``name``; being a result of the graph counts, too."""
        return self._num_readers[name]
