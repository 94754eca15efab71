"""How many zeros does each feature map need around it?

Its producer writes them, so that the convolutions and mean pools that read it need no padding.
"""

from collections.abc import Sequence

import onnx

from cmpc_cost_models.graphs.graph import Graph
from cmpc_cost_models.graphs.parts import Attributes, Shape, attributes_of
from cmpc_cost_models.plans.specs import Window

__all__ = ["border_of", "needed_borders", "window_of"]

VIEWS = ("Identity", "Slice", "Split")  # their readers read the source


def window_of(attributes: Attributes, kernel: Sequence[int]) -> Window:
    """Return the window of a layer of two dimensions whose pads are given as numbers."""
    pads, strides, dilations = (
        attributes.get(name) or [default] * 2
        for name, default in (("pads", 0), ("strides", 1), ("dilations", 1))
    )
    return Window(
        kernel=(kernel[0], kernel[1]),
        strides=(strides[0], strides[1]),
        pads=(pads[0], pads[1]),
        dilations=(dilations[0], dilations[1]),
    )


def border_of(window: Window, size: Shape, result: Shape) -> int:
    """Return how far the windows of a layer reach over the edges of its input.

    Args:
        size, result: Of the input and the result: (height, width).
    """
    beyond: list[int] = [
        (results - 1) * stride + (taps - 1) * dilation + 1 - pad - length
        for results, stride, taps, dilation, pad, length in zip(
            result, window.strides, window.kernel, window.dilations, window.pads, size, strict=True
        )
    ]
    return max([0, *window.pads, *beyond])


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
    return border_of(window_of(attributes, kernel), size, result)
