"""Several networks that read one image, joined into one network: what they give side by side.

    image --+--> network 0 --unit length--+
            +--> network 1 --unit length--+--concat--> projection --unit length--> embedding

Shapes: L the sum of the networks' lengths, D the length of the result.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from cmpc_base.files import replacing
from cmpc_cost_models.errors import BadNetworkFile
from cmpc_cost_models.graphs.reading import load_graph

__all__ = ["join_networks"]

INPUT_NAME, OUTPUT_NAME = "image", "embedding"
SMALLEST_NORM = 1e-12
FIRST_WITH_AXES_AS_INPUT = 18  # the opset in which reductions changed


def join_networks(
    paths: Sequence[Path], projection: npt.NDArray[np.float32], joined_path: Path
) -> None:
    """Write the networks in ``paths`` as one that projects what they give by [D, L].

    Each reads images [1, 3, S, S], or any number of them, and gives one vector for each.

    Raises:
        BadNetworkFile: they read images of several sizes, or can't be brought to one opset.
    """
    models = _of_one_opset([load_graph(path) for path in paths], paths)
    sizes = {_size_px(model) for model in models}
    if len(sizes) > 1:
        raise BadNetworkFile(
            f"networks must read images of one size to be joined, got {sorted(sizes)} pixels; "
            "train or export them for the same"
        )
    parts = [_renamed(model, number) for number, model in enumerate(models)]
    tail = _Tail(_opset(models[0]), projection)
    tail.add([part.output[0].name for part in parts])
    size_px = sizes.pop()
    graph = helper.make_graph(
        [node for part in parts for node in part.node] + tail.nodes,
        "joined",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, (1, 3, size_px, size_px))],
        [helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, (1, len(projection)))],
        [tensor for part in parts for tensor in part.initializer] + tail.constants,
    )
    joined = helper.make_model(graph, opset_imports=models[0].opset_import)
    joined.ir_version = max(model.ir_version for model in models)
    onnx.checker.check_model(joined, full_check=True)
    with replacing(joined_path) as file:
        file.write(joined.SerializeToString())


def _of_one_opset(
    models: Sequence[onnx.ModelProto], paths: Sequence[Path]
) -> list[onnx.ModelProto]:
    opsets = [_opset(model) for model in models]
    if len(set(opsets)) == 1:
        return list(models)
    try:
        return [onnx.version_converter.convert_version(model, max(opsets)) for model in models]
    # the converter is C++ and raises what it likes
    except Exception as error:
        raise BadNetworkFile(
            f"networks must have one opset to be joined, got {opsets} of "
            f"{', '.join(map(str, paths))} and could not convert them: {error}"
        ) from error


def _opset(model: onnx.ModelProto) -> int:
    opset: int = max(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))
    return opset


def _size_px(model: onnx.ModelProto) -> int:
    (_, _, _, columns) = model.graph.input[0].type.tensor_type.shape.dim
    size_px: int = columns.dim_value
    return size_px


def _renamed(model: onnx.ModelProto, number: int) -> onnx.GraphProto:
    """Return a graph whose names are its own, but for the image that all read."""
    graph: onnx.GraphProto = compose.add_prefix(model, f"member_{number}/").graph
    image = graph.input[0].name
    for node in graph.node:
        node.input[:] = [INPUT_NAME if name == image else name for name in node.input]
    return graph


class _Tail:
    """The nodes after the members, and their constants, as an opset wants them."""

    def __init__(self, opset: int, projection: npt.NDArray[np.float32]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants = [
            numpy_helper.from_array(np.array([SMALLEST_NORM], np.float32), "smallest"),
            numpy_helper.from_array(np.ascontiguousarray(projection.T), "projection"),
        ]
        self._has_axes_as_input = opset >= FIRST_WITH_AXES_AS_INPUT
        if self._has_axes_as_input:
            self.constants.append(numpy_helper.from_array(np.array([1]), "axes"))

    def add(self, embeddings: Sequence[str]) -> None:
        """Project the embeddings [1, D] of the members, each of unit length."""
        units = [self._unit(name, f"unit_{number}") for number, name in enumerate(embeddings)]
        self._node("Concat", units, "together", axis=1)
        self._node("MatMul", ["together", "projection"], "projected")
        self._unit("projected", OUTPUT_NAME)

    def _unit(self, name: str, unit_name: str) -> str:
        """Divide rows by their length, as what compiles networks knows it again."""
        length, safe = f"{unit_name}/length", f"{unit_name}/safe"
        if self._has_axes_as_input:
            self._node("ReduceL2", [name, "axes"], length, keepdims=1)
        else:
            self._node("ReduceL2", [name], length, axes=[1], keepdims=1)
        self._node("Max", [length, "smallest"], safe)
        self._node("Div", [name, safe], unit_name)
        return unit_name

    def _node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
