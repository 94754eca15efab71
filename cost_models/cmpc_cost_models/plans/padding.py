"""How many zeros does each feature map need around it?

Its producer writes them, so that the convolutions and mean pools that read it need no padding.
"""

from collections.abc import Sequence
from typing import Any

import onnx

from cmpc_cost_models.graphs.graph import Graph
from cmpc_cost_models.graphs.parts import Shape, attributes_of

__all__ = ["border_of", "needed_borders"]


VIEWS = ("Identity", "Slice", "Split")  # their readers read the source


def border_of(attributes: dict[str, Any], kernel: Shape, size: Shape, result: Shape) -> int:
    """Return how far the windows of a layer reach over the edges of its input.

    Args:
        attributes: The layer's: pads, strides and dilations.
        kernel, size, result: Of the window, the input and the result: (height, width).
    """
    pads: list[int] = attributes.get("pads") or [0] * (2 * len(size))
    strides = attributes.get("strides") or [1] * len(size)
    dilations = attributes.get("dilations") or [1] * len(size)
    beyond: list[int] = [
        (results - 1) * stride + (taps - 1) * dilation + 1 - pad - length
        for results, stride, taps, dilation, pad, length in zip(
            result, strides, kernel, dilations, pads, size, strict=False
        )
    ]
    return max([0, *pads[: len(size)], *beyond])


def needed_borders(nodes: Sequence[onnx.NodeProto], graph: Graph) -> dict[str, int]:
    """Return the border of each tensor that some layer reads beyond its edges."""
    borders: dict[str, int] = {}
    for node in reversed(nodes):
        if node.op_type in VIEWS:
            needed = max((borders.get(name, 0) for name in node.output), default=0)
        elif node.op_type in ("AveragePool", "Conv"):
            needed = _border_for(node, graph)
        else:
            continue
        source = node.input[0]
        borders[source] = max(needed, borders.get(source, 0))
    return borders


def _border_for(node: onnx.NodeProto, graph: Graph) -> int:
    attributes = attributes_of(node)
    size, result = ((graph.shape(name) or ())[2:] for name in (node.input[0], node.output[0]))
    weight = (*node.input, "")[1]
    kernel = attributes.get("kernel_shape") or (graph.shape(weight) or ())[2:]
    if len(size) != 2 or len(result) != 2 or len(kernel) != 2:
        return 0
    return border_of(attributes, tuple(kernel), size, result)
