"""Nodes that stand together are found where they do, and nowhere else."""

import numpy as np
import pytest
from made_up_models import SHAPE, make_model, node

from cmpc_cost_models.graphs.graph import Graph
from cmpc_cost_models.graphs.parts import attributes_of
from cmpc_cost_models.graphs.patterns.matching import match_patterns
from cmpc_cost_models.graphs.reading import known_shapes

SHUFFLE = [
    node("Reshape", "x split", "a"),
    node("Transpose", "a", "t", perm=[0, 2, 1, 3, 4]),
    node("Reshape", "t whole", "y"),
]
LENGTH = node("ReduceL2", "x", "n", axes=[1])
VECTOR = (1, 10)
CONSTANTS = {
    "split": np.array([1, 2, 5, 5, 7]),
    "whole": np.array([1, 10, 5, 7]),
    "tiny": np.float32(1e-12),
    "two": np.float32(2),
    "size": np.array([1, 10]),
}
INSIDE = {"a": (1, 2, 5, 5, 7), "t": (1, 5, 2, 5, 7), "n": (1, 1), "m": (1, 1), "e": (1, 10)}


def matches_of(nodes, shape=SHAPE):
    read = {name for one in nodes for name in one.input}
    constants = {name: one for name, one in CONSTANTS.items() if name in read}
    model = make_model(nodes, (shape, shape), constants, opset=17)
    graph = Graph(model, known_shapes(model) | INSIDE)
    return [one.node for one in match_patterns(graph)]


def operators_of(nodes, shape=SHAPE):
    return [one.op_type for one in matches_of(nodes, shape)]


def test_a_channel_shuffle_is_one_node():
    [found] = matches_of(SHUFFLE)

    assert (found.op_type, list(found.input), list(found.output)) == (
        "ChannelShuffle",
        ["x"],
        ["y"],
    )
    assert attributes_of(found) == {"groups": 2}


@pytest.mark.parametrize(
    ("gate", "found"),
    [
        (node("Sigmoid", "x", "s"), "Swish"),
        (node("HardSigmoid", "x", "s", alpha=1 / 6, beta=0.5), "HardSwish"),
    ],
)
@pytest.mark.parametrize("factors", ["x s", "s x"])
def test_a_product_with_its_own_gate_is_one_node(gate, found, factors):
    assert operators_of([gate, node("Mul", factors, "y")]) == [found]


@pytest.mark.parametrize(
    "nodes",
    [
        [node("HardSigmoid", "x", "s"), node("Mul", "x s", "y")],  # a slope of 0.2
        [node("Relu", "x", "r"), node("Sigmoid", "r", "s"), node("Mul", "x s", "y")],
        [node("Sigmoid", "x", "s"), node("Mul", "s x", "m"), node("Add", "m s", "y")],
    ],
    ids=["another slope", "the gate of another tensor", "a gate that others read"],
)
def test_other_products_stay_as_they_are(nodes):
    assert operators_of(nodes) == [one.op_type for one in nodes]


@pytest.mark.parametrize(
    ("between", "smallest"),
    [
        ([node("Div", "x n", "y")], 0.0),
        ([node("Clip", "n two", "m"), node("Div", "x m", "y")], 2.0),
        (
            [node("Max", "tiny n", "m"), node("Expand", "m size", "e"), node("Div", "x e", "y")],
            1e-12,
        ),
    ],
)
def test_a_vector_divided_by_its_length_is_one_node(between, smallest):
    [found] = matches_of([LENGTH, *between], VECTOR)

    assert (found.op_type, list(found.input)) == ("UnitLength", ["x"])
    assert attributes_of(found)["smallest"] == pytest.approx(smallest)


def test_what_others_read_of_a_pattern_stays():
    nodes = [LENGTH, node("Clip", "n two", "m"), node("Div", "x m", "d"), node("Mul", "d n", "y")]

    assert operators_of(nodes, VECTOR) == ["ReduceL2", "UnitLength", "Mul"]


def test_a_length_that_is_limited_from_above_is_none():
    nodes = [LENGTH, node("Clip", "n tiny two", "m"), node("Div", "x m", "y")]

    assert operators_of(nodes, VECTOR) == ["ReduceL2", "Clip", "Div"]
