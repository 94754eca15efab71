"""What single operators compute: against ONNX's own test cases, and against ONNX Runtime."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up_models import (
    SHAPE,
    assert_as_onnx_runtime,
    make_model,
    node_case,
    run_compiled,
    weights,
)
from onnx import helper
from torch.nn import functional

ON_OUR_KERNELS = [
    "batch_normalization/batchnorm_epsilon",
    "conv/basic_conv_with_padding",
    "conv/conv_with_autopad_same",
    "conv/conv_with_strides_and_asymmetric_padding",
    "globalaveragepool/globalaveragepool",
    "globalmaxpool/globalmaxpool",
    "lrn/lrn",
    "pad/constant_pad",
    "softmax/softmax_example",
]
# Importing these two cases' modules makes large three-dimensional ones, too.
POOLS = [
    "averagepool/averagepool_2d_ceil",
    "averagepool/averagepool_2d_pads",
    "averagepool/averagepool_2d_pads_count_include_pad",
    "averagepool/averagepool_2d_precomputed_pads",
    "averagepool/averagepool_2d_same_lower",
    "maxpool/maxpool_2d_ceil",
    "maxpool/maxpool_2d_dilations",
    "maxpool/maxpool_2d_pads",
    "maxpool/maxpool_2d_same_upper",
]


@pytest.mark.parametrize(
    "name", [*ON_OUR_KERNELS, *(pytest.param(one, marks=pytest.mark.slow) for one in POOLS)]
)
def test_our_kernels_compute_what_onnx_specifies(name, host):
    model, data, expected = node_case(name)

    answer, num_imported = run_compiled(model, host, data)

    assert num_imported == 0
    np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)


FUNCTIONS = {
    "Abs": {},
    "Elu": {"alpha": 0.7},
    "Erf": {},
    "Exp": {},
    "Gelu": {},
    "HardSigmoid": {"alpha": 0.3},
    "HardSwish": {},
    "LeakyRelu": {"alpha": 0.2},
    "Neg": {},
    "Relu": {},
    "Sigmoid": {},
    "Softplus": {},
    "Tanh": {},
}


def test_functions_of_numbers_compute_what_onnx_runtime_computes(host, rng):
    """All in one graph: each reads the input, and their results are concatenated."""
    nodes = [helper.make_node(name, ["x"], [name], **given) for name, given in FUNCTIONS.items()]
    nodes += [
        helper.make_node("Reciprocal", ["Exp"], ["Reciprocal"]),
        helper.make_node("Log", ["Exp"], ["Log"]),
        helper.make_node("Sqrt", ["Abs"], ["Sqrt"]),
        helper.make_node("Clip", ["x", "low", "high"], ["Clip"]),
        helper.make_node("PRelu", ["x", "slopes"], ["PRelu"]),
    ]
    names = [node.output[0] for node in nodes]
    nodes.append(helper.make_node("Concat", names, ["y"], axis=1))
    constants = {
        "low": np.float32(-1),
        "high": np.float32(2),
        "slopes": rng.random((10, 1, 1), dtype=np.float32),
    }
    model = make_model(nodes, (SHAPE, (1, 10 * len(names), 5, 7)), constants)

    data = 3 * rng.standard_normal(SHAPE, dtype=np.float32)
    assert_as_onnx_runtime(model, host, data, num_parts=len(names))


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(
    max_examples=8,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    kernel=pairs,
    strides=pairs,
    dilations=pairs,
    pads=st.tuples(*[st.integers(0, 3)] * 4),
    groups_and_channels=st.sampled_from(
        [(1, 5, 9), (2, 6, 10), (7, 7, 7), (5, 5, 10), (18, 18, 18)]
    ),
)
def test_any_convolution_computes_what_onnx_runtime_computes(
    kernel, strides, dilations, pads, groups_and_channels, host
):
    groups, channels, out_channels = groups_and_channels
    rng = np.random.default_rng(0)
    size, given = (9, 11), {"strides": strides, "dilations": dilations, "pads": pads}
    reach = [(taps - 1) * gap + 1 for taps, gap in zip(kernel, dilations, strict=True)]
    result = [
        (size[axis] + pads[axis] + pads[axis + 2] - reach[axis]) // strides[axis] + 1
        for axis in (0, 1)
    ]
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], group=groups, **given)
    constants = {
        "w": weights(rng, out_channels, channels // groups, *kernel),
        "b": weights(rng, out_channels),
    }
    shapes = ((1, channels, *size), (1, out_channels, *result))

    assert_as_onnx_runtime(
        make_model([node], shapes, constants), host, weights(rng, 1, channels, *size)
    )


@settings(
    max_examples=8,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    operator=st.sampled_from(["AveragePool", "MaxPool"]),
    kernel=pairs,
    strides=pairs,
    pads=st.tuples(*[st.integers(0, 2)] * 4),
    ceil_mode=st.booleans(),
    channels=st.sampled_from([3, 16]),
)
def test_any_pool_computes_what_onnx_runtime_computes(
    operator, kernel, strides, pads, ceil_mode, channels, host
):
    pads = tuple(min(pad, taps - 1) for pad, taps in zip(pads, kernel * 2, strict=True))
    given = {"kernel_shape": kernel, "strides": strides, "pads": pads}
    node = helper.make_node(operator, ["x"], ["y"], ceil_mode=int(ceil_mode), **given)
    shape = (1, channels, 9, 11)
    model = make_model([node], (shape, [None] * 4), {})

    assert_as_onnx_runtime(model, host, weights(np.random.default_rng(0), *shape))


POOLS_OF_TORCH = {"AveragePool": functional.avg_pool2d, "MaxPool": functional.max_pool2d}


@pytest.mark.parametrize("operator", POOLS_OF_TORCH)
def test_a_pool_as_torch_exports_it_has_no_window_that_begins_in_the_padding(operator, host, rng):
    """Windows of 2 x 2 on 17 pixels with padding and ceil_mode are 9; torch says so in the file.

    Against torch: ONNX Runtime counts as ONNX does when it loads the dense layer, and refuses it.
    """
    given = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [1] * 4, "ceil_mode": 1}
    given |= {"count_include_pad": 1} if operator == "AveragePool" else {}
    nodes = [
        helper.make_node(operator, ["x"], ["a"], **given),
        helper.make_node(operator, ["a"], ["b"], **given),
        helper.make_node("Flatten", ["b"], ["c"]),
        helper.make_node("Gemm", ["c", "w"], ["y"]),
    ]
    weight, data = weights(rng, 3 * 5 * 5, 2), weights(rng, 1, 3, 17, 17)
    model = make_model(nodes, ((1, 3, 17, 17), (1, 2)), {"w": weight}, opset=17)

    answer, num_imported = run_compiled(model, host, data)

    pooled = torch.from_numpy(data)
    for _ in range(2):
        pooled = POOLS_OF_TORCH[operator](pooled, 2, 2, 1, ceil_mode=True)
    assert num_imported == 0
    np.testing.assert_allclose(answer, pooled.flatten(1).numpy() @ weight, atol=1e-5)
