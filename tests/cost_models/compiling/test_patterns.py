"""What operators that stand together compute, where kernels take in what is around them."""

import numpy as np
import pytest
from made_up_models import (
    SHAPE,
    assert_as_onnx_runtime,
    make_model,
    weights,
)
from onnx import helper

from cmpc_cost_models.schedules import rules

NORM = ("gamma", "beta", "mean", "variance")
PATTERNS = {
    "swish": (
        [
            helper.make_node("Conv", ["x", "square"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("Sigmoid", ["c"], ["s"]),
            helper.make_node("Mul", ["s", "c"], ["y"]),
        ],
        SHAPE,
    ),
    "hard swish": (
        [
            helper.make_node("Conv", ["x", "square"], ["c"], pads=[1] * 4, auto_pad="NOTSET"),
            helper.make_node("HardSigmoid", ["c"], ["s"], alpha=1 / 6),
            helper.make_node("Mul", ["c", "s"], ["y"]),
        ],
        SHAPE,
    ),
    "squeeze and excitation": (
        [
            helper.make_node("GlobalAveragePool", ["x"], ["p"]),
            helper.make_node("Conv", ["p", "pointwise"], ["q"]),
            helper.make_node("Sigmoid", ["q"], ["s"]),
            helper.make_node("Mul", ["x", "s"], ["y"]),
        ],
        SHAPE,
    ),
    "a window on one pixel": (
        [
            helper.make_node("GlobalAveragePool", ["x"], ["p"]),
            helper.make_node("ReduceMax", ["x"], ["q"], axes=[2, 3]),
            helper.make_node("Conv", ["p", "square"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("AveragePool", ["q"], ["d"], kernel_shape=[3, 3], pads=[1] * 4),
            helper.make_node("Add", ["c", "d"], ["y"]),
        ],
        (1, 10, 1, 1),
    ),
    "batch norms": (
        [
            helper.make_node("BatchNormalization", ["x", *NORM], ["n"]),
            helper.make_node("Relu", ["n"], ["r"]),
            helper.make_node("Conv", ["r", "square"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("BatchNormalization", ["c", *NORM], ["d"]),
            helper.make_node("Sum", ["d", "x", "r"], ["y"]),
        ],
        SHAPE,
    ),
    "channel shuffle": (
        [
            helper.make_node("Reshape", ["x", "grouped"], ["a"]),
            helper.make_node("Transpose", ["a"], ["t"], perm=[0, 2, 1, 3, 4]),
            helper.make_node("Reshape", ["t", "whole"], ["y"]),
        ],
        SHAPE,
    ),
    "channels dealt and gathered again": (
        [
            helper.make_node("Reshape", ["x", "grouped"], ["a"]),
            helper.make_node("Transpose", ["a"], ["t"], perm=[0, 2, 1, 3, 4]),
            helper.make_node("Transpose", ["t"], ["u"], perm=[0, 2, 1, 3, 4]),
            helper.make_node("Reshape", ["u", "whole"], ["v"]),
            helper.make_node("Relu", ["v"], ["y"]),
        ],
        SHAPE,
    ),
    "broadcasts": (
        [
            helper.make_node("Add", ["x", "plane"], ["a"]),
            helper.make_node("Sub", ["hundred", "a"], ["s"]),
            helper.make_node("Div", ["channel", "s"], ["d"]),
            helper.make_node("Pow", ["d", "two"], ["p"]),
            helper.make_node("Max", ["p", "channel"], ["m"]),
            helper.make_node("Min", ["m", "two"], ["y"]),
        ],
        SHAPE,
    ),
    "parts": (
        [
            helper.make_node("Split", ["x", "sizes"], ["a", "b"], axis=1),
            helper.make_node("Pad", ["b", "pads", "two"], ["c"]),
            helper.make_node("Pad", ["a", "pads"], ["d"]),
            helper.make_node("Concat", ["c", "d", "c"], ["y"], axis=-3),
        ],
        (1, 17, 8, 8),
    ),
    "unit length": (
        [
            helper.make_node("GlobalAveragePool", ["x"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("ReduceL2", ["f"], ["n"], axes=[1]),
            helper.make_node("Clip", ["n", "tiny"], ["m"]),
            helper.make_node("Expand", ["m", "vector"], ["e"]),
            helper.make_node("Div", ["f", "e"], ["y"]),
        ],
        (1, 10),
    ),
    "unit length above floors": (
        [
            helper.make_node("GlobalAveragePool", ["x"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("ReduceL2", ["f"], ["n"], axes=[1]),
            helper.make_node("Clip", ["n", "two"], ["m"]),
            helper.make_node("Max", ["m", "tiny"], ["o"]),
            helper.make_node("Clip", ["o", "tiny"], ["q"]),
            helper.make_node("Div", ["f", "q"], ["y"]),
        ],
        (1, 10),
    ),
    "channels last": (
        [
            helper.make_node("Transpose", ["x"], ["a"], perm=[0, 2, 3, 1]),
            helper.make_node("Reshape", ["a", "row"], ["r"]),
            helper.make_node("Gemm", ["r", "dense", "offset"], ["y"], transB=1, alpha=0.5),
        ],
        (1, 6),
    ),
    "resize": (
        [
            helper.make_node("MaxPool", ["x"], ["a"], kernel_shape=[2, 3], pads=[1, 0, 0, 2]),
            helper.make_node("Resize", ["a", "", "scales"], ["y"], mode="nearest"),
        ],
        (1, 10, 10, 21),
    ),
    "a softmax of all": ([helper.make_node("Softmax", ["x"], ["y"])], SHAPE),
}


NUM_IMPORTED = {"channels dealt and gathered again": 2}


def pattern_model(name, rng):
    nodes, shape = PATTERNS[name]
    constants = {
        "square": weights(rng, 10, 10, 3, 3),
        "pointwise": weights(rng, 10, 10, 1, 1),
        "grouped": np.array([1, 2, 5, 5, 7]),
        "whole": np.array([1, -1, 5, 7]),
        "plane": weights(rng, 1, 1, 5, 7),
        "channel": weights(rng, 10, 1, 1),
        "hundred": np.float32(100),
        "two": np.float32(2),
        "sizes": np.array([3, 7]),
        "pads": np.array([0, 0, 1, 0, 0, 0, 2, 1]),
        "row": np.array([1, -1]),
        "tiny": np.float32(1e-12),
        "vector": np.array([1, 10]),
        "scales": np.array([1, 1, 2, 3], np.float32),
        "dense": weights(rng, 6, 350),
        "offset": weights(rng, 6),
    } | {letter: rng.random(10, dtype=np.float32) + np.float32(0.5) for letter in NORM}
    read = {one for node in nodes for one in node.input}
    constants = {name: one for name, one in constants.items() if name in read}
    opset = 11 if name == "a softmax of all" else 17  # it was one over all axes up to 12
    return make_model(nodes, (SHAPE, shape), constants, opset=opset)


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_of_operators_compute_what_onnx_runtime_computes(name, host, rng):
    num_imported = NUM_IMPORTED.get(name, 0)

    assert_as_onnx_runtime(
        pattern_model(name, rng), host, weights(rng, *SHAPE), num_imported=num_imported
    )


@pytest.mark.parametrize("name", ["batch norms", "broadcasts", "parts", "resize"])
def test_loops_that_threads_share_compute_the_same(name, host, rng, monkeypatch):
    for limit in ("FEWEST_PARALLEL_MACS", "FEWEST_PARALLEL_NUMBERS"):
        monkeypatch.setattr(rules, limit, 1)

    model = pattern_model(name, rng)
    assert_as_onnx_runtime(model, host, weights(rng, *SHAPE), num_threads=2)


def test_a_batch_is_computed_image_by_image(host, rng):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c", "plane"], ["a"]),
        helper.make_node("GlobalMaxPool", ["a"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]
    shape = (3, *SHAPE[1:])
    constants = {"w": weights(rng, 10, 10, 3, 3), "plane": weights(rng, *SHAPE)}

    assert_as_onnx_runtime(
        make_model(nodes, (shape, (3, 10)), constants), host, weights(rng, *shape)
    )


def test_names_of_a_graph_may_be_those_that_the_planner_would_make_up(host, rng):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["s:0"], pads=[1, 1, 1, 1]),
        helper.make_node("MaxPool", ["s:0"], ["s:sum 0"], kernel_shape=[1, 1]),
        helper.make_node("Sum", ["x", "s:sum 0", "x"], ["s"]),
        helper.make_node("Relu", ["s:0"], ["s:image"]),
        helper.make_node("Neg", ["s:0"], ["x:map"]),
        helper.make_node("Softmax", ["s"], ["t"]),  # over all axes: reads and makes images
        helper.make_node("Sum", ["t", "s:0", "s:image", "x:map", "s", "plane"], ["u"]),
        helper.make_node("Abs", ["u"], ["plane:map"]),
        helper.make_node("Sum", ["u", "s:image", "plane:map", "plane"], ["y"]),
    ]
    constants = {"w": weights(rng, 10, 10, 3, 3), "plane": weights(rng, 1, 1, 5, 7)}
    for batch in (1, 2):
        shape = (batch, *SHAPE[1:])
        model = make_model(nodes, (shape, shape), constants, opset=11)

        assert_as_onnx_runtime(model, host, weights(rng, *shape), num_imported=0)


def test_names_of_the_images_of_a_batch_are_not_those_of_the_graph(host, rng):
    nodes = [
        helper.make_node("Relu", ["a:1"], ["a"]),
        helper.make_node("Add", ["a", "a:1"], ["y"]),
    ]
    shape = (3, *SHAPE[1:])
    model = make_model(nodes, (shape, shape), {})
    model.graph.input[0].name = "a:1"

    assert_as_onnx_runtime(model, host, weights(rng, *shape))


def test_a_bias_of_one_number_an_image_is_none_of_one_a_channel(host, rng):
    nodes = [
        helper.make_node("GlobalMaxPool", ["x"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "c"], ["y"]),
    ]
    constants = {"w": weights(rng, 10, 3), "c": np.array([[1], [2], [3]], np.float32)}
    shape = (3, *SHAPE[1:])

    model = make_model(nodes, (shape, (3, 3)), constants)
    assert_as_onnx_runtime(model, host, weights(rng, *shape), num_imported=3)
