"""A vector divided by its own length, which is at least something: what ends an embedding.

ReduceL2 -> (Clip or Max with a constant, any number of times) -> (Expand) -> Div
"""

import math

import onnx
from onnx import helper

from cmpc_cost_models.graphs.graph import Graph
from cmpc_cost_models.graphs.parts import attributes_of
from cmpc_cost_models.graphs.patterns.base import OWN_DOMAIN, Match

__all__ = ["unit_length"]

MOST_NODES = 16  # between the length and the division


def unit_length(graph: Graph, last: onnx.NodeProto) -> Match | None:
    """Match the division of a vector [1, C] by its length."""
    if last.op_type != "Div":
        return None
    vector, divisor = last.input
    smallest, nodes = 0.0, [last]
    for _ in range(MOST_NODES):
        node = graph.producer(divisor)
        if node is None:
            return None
        nodes.append(node)
        if node.op_type == "ReduceL2":
            return _match(smallest, nodes[::-1]) if _is_length(graph, node, vector) else None
        step = _floor_of(graph, node, vector)
        if step is None:
            return None
        divisor, floor = step
        smallest = max(smallest, floor)
    return None


def _match(smallest: float, given: list[onnx.NodeProto]) -> Match:
    last = given[-1]
    node = helper.make_node(
        "UnitLength",
        [last.input[0]],
        [last.output[0]],
        name=last.name,
        domain=OWN_DOMAIN,
        smallest=smallest,
    )
    return Match(node=node, given=tuple(given))


def _is_length(graph: Graph, node: onnx.NodeProto, vector: str) -> bool:
    """Return whether ``node`` computes the length of ``vector``, and keeps its axis."""
    given, shape = attributes_of(node), graph.shape(vector)
    axes = given.get("axes")
    if len(node.input) > 1 and node.input[1]:
        known = graph.constant(node.input[1])
        axes = None if known is None else known.tolist()
    is_kept = bool(given.get("keepdims", 1))
    return node.input[0] == vector and axes in ([1], [-1]) and is_kept and len(shape or ()) == 2


def _floor_of(graph: Graph, node: onnx.NodeProto, vector: str) -> tuple[str, float] | None:
    """Return what a node passes on, and the least that it makes of it; ``None`` if it does more."""
    if node.op_type == "Expand":
        is_to_vector = graph.shape(node.output[0]) == graph.shape(vector) is not None
        return (node.input[0], 0.0) if is_to_vector else None
    if node.op_type == "Clip":
        low, high = graph.clip_limits(node) or (-math.inf, math.inf)
        return (node.input[0], low) if low >= 0 and high == math.inf else None
    if node.op_type == "Max" and len(node.input) == 2:
        for passed, other in (node.input, node.input[::-1]):
            if (floor := graph.number(other)) is not None:
                return passed, floor
    return None
