"""How much arithmetic does a network do, and how many weights has it? Counted from its ONNX graph.

Multiply-accumulates of convolutions and dense layers only, as SPOS and ShuffleNetV2 count: batch
norms, activations and pooling are left out. Parameters are all numbers of the constants that such
layers read (weights and biases). Of a network that runs wholly on our kernels they are the sum of
``Convolution.macs`` over its calls.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import onnx

from cmpc_cost_models.errors import BadNetworkFile
from cmpc_cost_models.graphs.parts import Shape, attributes_of
from cmpc_cost_models.graphs.reading import known_shapes, load_graph

__all__ = ["NetworkCount", "count_network"]


LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkCount:
    """Multiply-accumulates of one inference, and the weights they use."""

    macs: int
    parameters: int


def count_network(onnx_path: Path) -> NetworkCount:
    """Count the multiply-accumulates and the parameters of an ONNX file.

    Raises:
        BadNetworkFile: the file can't be read, or a layer's shape isn't known from the graph.
    """
    model = load_graph(onnx_path)
    shapes = known_shapes(model)
    weights = {tensor.name for tensor in model.graph.initializer}
    macs, read = 0, set[str]()
    for node in model.graph.node:
        if node.op_type in LAYERS:
            macs += _layer_macs(node, shapes)
            read.update(weights.intersection(node.input))
    # A dense layer's bias may be an Add of its own.
    dense = {node.output[0] for node in model.graph.node if node.op_type == "MatMul"}
    for node in model.graph.node:
        if node.op_type == "Add" and dense.intersection(node.input):
            read.update(weights.intersection(node.input))
    return NetworkCount(macs=macs, parameters=sum(math.prod(shapes[name]) for name in read))


def _layer_macs(node: onnx.NodeProto, shapes: dict[str, Shape]) -> int:
    """Return the multiply-accumulates of one of ``LAYERS``.

    Each output number is one inner product; this is their total length.
    """
    names = (node.input[0], node.input[1], node.output[0])
    if unknown := [name for name in names if name not in shapes]:
        raise BadNetworkFile(
            f"{node.op_type} {node.name!r} must have a static shape, "
            f"but that of {', '.join(map(repr, unknown))} isn't known; export with fixed sizes"
        )
    data, weight, output = (shapes[name] for name in names)
    if node.op_type == "Conv":
        return math.prod(output) * math.prod(weight[1:])
    if node.op_type == "ConvTranspose":  # each input number meets one filter
        return math.prod(data) * math.prod(weight[1:])
    if node.op_type == "Gemm" and attributes_of(node).get("transA"):
        return math.prod(output) * data[0]
    return math.prod(output) * data[-1]
