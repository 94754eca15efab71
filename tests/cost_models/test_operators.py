"""What single operators compute: against ONNX's own test cases, and against ONNX Runtime."""

import importlib
import pkgutil
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from cmpc_cost_models.compiling import compile_network
from cmpc_cost_models.errors import BadNetworkFile, CompileFailed
from cmpc_cost_models.lowering import schedules
from cmpc_cost_models.running import LoadedNetwork

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
BY_TVM = [
    "convtranspose/convtranspose_pads",
    "flatten/flatten_axis1",
    "gemm/gemm_all_attributes",
    "instance_normalization/instancenorm_example",
    "softmax/softmax_axis_2",
    "tanh/tanh",
    "transpose/transpose_all_permutations_3",
]


def run_compiled(model, host, data, *, num_threads=1):
    """Return the answer of ``model`` compiled for this machine, and how many nodes TVM imported."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        onnx.save(model, folder / "given.onnx")
        compiled = compile_network(
            folder / "given.onnx", host, cache_dir=folder, num_threads=num_threads
        )
        answer = LoadedNetwork(compiled.path, compiled.input_shape).run(data)
    return answer, sum(node.path == "import" for node in compiled.nodes)


def node_case(name):
    """Return the model of one of ONNX's test cases, its data and its answer.

    All inputs but the first are constants.
    """
    module, case_name = name.split("/")
    [case] = [one for one in node_cases([module]) if one.name == f"test_{case_name}"]
    return as_network(case)


def node_cases(modules):
    """Return ONNX's test cases of single nodes, those of ``modules`` among them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other cases
        for module in modules:
            importlib.import_module(f"onnx.backend.test.case.node.{module}")
    from onnx.backend.test.case.node import _NodeTestCases as cases

    return cases


def as_network(case):
    """Return a test case as a model of one input, and its data and answer."""
    inputs, outputs = case.data_sets[0]
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    first, *others = model.graph.input
    del model.graph.input[:]
    model.graph.input.append(first)
    for value, array in zip(others, inputs[1:], strict=True):
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), value.name))
    return model, inputs[0], outputs[0]


def is_of_float32(case):
    """Return whether a small test case takes and gives what compiled networks do."""
    inputs, outputs = case.data_sets[0]
    if not inputs or not all(isinstance(one, np.ndarray | np.generic) for one in inputs):
        return False
    ends = (inputs[0], outputs[0])
    return all(getattr(one, "dtype", None) == np.float32 and one.size < 200_000 for one in ends)


@pytest.mark.slow
def test_each_of_the_test_cases_of_onnx_is_computed_rightly_or_refused(host):
    """Some 800 of single nodes, whatever takes them; expanded ones are of many plain nodes."""
    package = importlib.import_module("onnx.backend.test.case.node")
    modules = [
        one.name for one in pkgutil.iter_modules(package.__path__) if one.name != "ai_onnx_ml"
    ]
    wrong, num_right = [], 0
    for case in node_cases(modules):
        if "expanded" in case.name or not is_of_float32(case):
            continue
        model, data, expected = as_network(case)
        del model.graph.output[1:]
        try:
            answer, _ = run_compiled(model, host, data)
        except (BadNetworkFile, CompileFailed):
            continue
        is_right = answer.shape == expected.shape and np.allclose(
            answer, expected, rtol=1e-3, atol=1e-4, equal_nan=True
        )
        num_right += is_right
        wrong += [] if is_right else [case.name]

    assert wrong == []
    assert num_right > 400


@pytest.mark.parametrize(
    "name", [*ON_OUR_KERNELS, *(pytest.param(one, marks=pytest.mark.slow) for one in POOLS)]
)
def test_our_kernels_compute_what_onnx_specifies(name, host):
    model, data, expected = node_case(name)

    answer, num_imported = run_compiled(model, host, data)

    assert num_imported == 0
    np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", BY_TVM)
def test_other_operators_go_through_the_importer(name, host):
    model, data, expected = node_case(name)

    answer, num_imported = run_compiled(model, host, data)

    assert num_imported > 0
    np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)


def make_model(nodes, shapes, constants, *, opset=20):
    """Return a model of ``nodes`` from ``x`` to ``y``, which have the two ``shapes``."""
    given, wanted = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip("xy", shapes, strict=True)
    )
    tensors = [numpy_helper.from_array(np.asarray(one), name) for name, one in constants.items()]
    graph = helper.make_graph(nodes, "given", [given], [wanted], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return model


def assert_as_onnx_runtime(model, host, data, *, num_imported=0, num_parts=1, num_threads=1):
    """Compare parts of the channels by themselves: large numbers must not hide small ones."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    [expected] = session.run(None, {session.get_inputs()[0].name: data})
    answer, imported = run_compiled(model, host, data, num_threads=num_threads)
    assert num_imported in (imported, None)
    assert answer.shape == expected.shape
    for part, wanted in zip(
        *(np.split(one, num_parts, axis=1) for one in (answer, expected)), strict=True
    ):
        np.testing.assert_allclose(part, wanted, atol=3e-6 * np.abs(wanted).max())


SHAPE = (1, 10, 5, 7)  # channels that are no multiple of a vector
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


def weights(rng, *shape):
    return rng.standard_normal(shape, dtype=np.float32)


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
        monkeypatch.setattr(schedules, limit, 1)

    model = pattern_model(name, rng)
    assert_as_onnx_runtime(model, host, weights(rng, *SHAPE), num_threads=2)


def test_each_node_says_which_way_it_took(host, tmp_path):
    nodes = [
        helper.make_node("Shape", ["x"], ["sizes"], name="size"),
        helper.make_node("Conv", ["x", "w"], ["c"], name="layer"),
        helper.make_node("Relu", ["c"], ["r"], name="rectifier"),
        helper.make_node("Sin", ["r"], ["s"], name="wave"),
        helper.make_node("Reshape", ["s", "sizes"], ["y"], name="same"),
    ]
    model = make_model(nodes, (SHAPE, SHAPE), {"w": np.ones((10, 10, 1, 1), np.float32)})
    onnx.save(model, tmp_path / "given.onnx")

    built = compile_network(tmp_path / "given.onnx", host, cache_dir=tmp_path)

    paths = {one.node: (one.operator, one.path) for one in built.nodes}
    assert paths["size"] == ("Shape", "folded")
    assert paths["layer"] == ("Conv", "kernel")
    assert paths["wave"] == ("Sin", "import")
    functions = {one.node: one.kernel for one in built.nodes}
    assert functions["layer"] == functions["rectifier"] is not None  # one kernel does both
    assert functions["layer"] in {one.symbol for one in built.kernels}


def test_an_imported_operator_between_our_kernels_changes_nothing_else(host, rng):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Sin", ["c"], ["s"]),
        helper.make_node("Cos", ["s"], ["o"]),
        helper.make_node("Relu", ["o"], ["r"]),
        helper.make_node("Conv", ["r", "w"], ["e"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["e", "s"], ["y"]),
    ]
    model = make_model(nodes, (SHAPE, SHAPE), {"w": weights(rng, 10, 10, 3, 3) / 10})

    assert_as_onnx_runtime(model, host, weights(rng, *SHAPE), num_imported=2)


def test_what_is_imported_may_be_read_in_another_shape(host, rng):
    nodes = [
        helper.make_node("Sin", ["x"], ["s"]),
        helper.make_node("Reshape", ["s", "row"], ["r"]),
        helper.make_node("Cos", ["r"], ["y"]),
    ]
    model = make_model(nodes, (SHAPE, (1, 350)), {"row": np.array([1, -1])})

    assert_as_onnx_runtime(model, host, weights(rng, *SHAPE), num_imported=2)


def test_an_operator_that_nobody_takes_is_named(host, rng):
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Sin", ["r"], ["s"]),  # imported together with what can't be
        helper.make_node("Det", ["s"], ["y"], name="determinant"),
    ]
    model = make_model(nodes, ((1, 4, 3, 3), (1, 4)), {})

    with pytest.raises(CompileFailed, match=r"operator Det \(node 'determinant'\) must"):
        run_compiled(model, host, weights(rng, 1, 4, 3, 3))


def test_a_node_that_is_left_to_the_importer_says_why_also_for_a_whole_batch(host, tmp_path):
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], name="rectifier"),
        helper.make_node("Sin", ["r"], ["y"], name="wave"),
    ]
    for batch, words in ((1, "no rule for Sin"), (2, "no rule for Sin, and a batch is imported")):
        shape = (batch, *SHAPE[1:])
        onnx.save(make_model(nodes, (shape, shape), {}), tmp_path / "given.onnx")

        built = compile_network(tmp_path / "given.onnx", host, cache_dir=tmp_path)

        reasons = {one.node: one.reason for one in built.nodes}
        assert reasons["rectifier"] is None
        assert words in reasons["wave"]


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


def node(operator, inputs="x", outputs="y", **given):
    return helper.make_node(operator, inputs.split(), outputs.split(), **given)


TWICE, ONCE_AND_A_HALF, HALF = (
    np.array([1, 1, scale, scale], np.float32) for scale in (2, 1.5, 0.5)
)
IN_OTHER_WORDS = {
    "slice": (9, node("Slice", axes=[2, 3], starts=[1, 0], ends=[5, -1]), {}),
    "slice of first axes": (9, node("Slice", starts=[0, 1], ends=[1, 3]), {}),
    "linear upsample": (9, node("Upsample", "x s", mode="linear"), {"s": TWICE}),
    "nearest upsample": (9, node("Upsample", "x s"), {"s": ONCE_AND_A_HALF}),
    "nearest upsample 7": (7, node("Upsample", scales=ONCE_AND_A_HALF.tolist()), {}),
    "linear resize": (10, node("Resize", "x s", mode="linear"), {"s": TWICE}),
    "nearest resize": (10, node("Resize", "x s"), {"s": HALF}),
    "cubes": (13, node("Pow", "x p"), {"p": np.array(3)}),
    "squares": (13, node("Pow", "x p"), {"p": np.array([2])}),
    "celu": (13, node("Celu", alpha=0.5), {}),
    "lengths": (13, node("LpNormalization", axis=1), {}),
    "sums": (18, node("LpNormalization", axis=-1, p=1), {}),
    "norm by a repeated scale": (
        17,
        node("LayerNormalization", "x g b", axis=2),
        {"g": np.full(6, 2, np.float32), "b": np.ones((6, 1), np.float32)},
    ),
}


@pytest.mark.parametrize("name", IN_OTHER_WORDS)
def test_an_operator_is_computed_that_neither_rules_nor_importer_know(name, host, rng):
    opset, given, constants = IN_OTHER_WORDS[name]
    model = make_model([given], ((1, 4, 6, 6), [None] * 4), constants, opset=opset)
    data = weights(rng, 1, 4, 6, 6)
    data[:, :, 0] = 0  # vectors of no length

    assert_as_onnx_runtime(model, host, data, num_imported=None)


def test_copies_side_by_side_are_those_of_numpy(host, rng):
    repeats = (5, 5, 2, 4)
    data = weights(rng, 3, 4, 1, 3)
    expected = np.tile(data, repeats)
    constants = {"r": np.array(repeats)}

    model = make_model([node("Tile", "x r")], (data.shape, expected.shape), constants)
    answer, _ = run_compiled(model, host, data)

    np.testing.assert_array_equal(answer, expected)


def test_a_constant_may_be_sparse(host, rng):
    model = make_model([node("Add", "x w")], (SHAPE, SHAPE), {})
    whole = np.zeros((1, 10, 1, 1), np.float32)
    whole[0, [3, 7]] = [[[2]], [[-1]]]
    data = weights(rng, *SHAPE)
    for indices in ([3, 7], [[0, 3, 0, 0], [0, 7, 0, 0]]):
        values = numpy_helper.from_array(np.array([2, -1], np.float32), "w")
        places = numpy_helper.from_array(np.array(indices), "places")
        del model.graph.sparse_initializer[:]
        sparse = helper.make_sparse_tensor(values, places, whole.shape)
        model.graph.sparse_initializer.append(sparse)

        answer, _ = run_compiled(model, host, data)

        np.testing.assert_array_equal(answer, data + whole)


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(
    max_examples=8,
    deadline=None,
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
    deadline=None,
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


@pytest.mark.parametrize("operator", ["AveragePool", "MaxPool"])
def test_a_pool_as_torch_exports_it_has_no_window_that_begins_in_the_padding(operator, host, rng):
    """AveragePool2d(2, 2, 1, ceil_mode=True) of 17 pixels are 9, and torch says so in the file."""
    given = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [1] * 4, "ceil_mode": 1}
    nodes = [
        helper.make_node(operator, ["x"], ["a"], **given),
        helper.make_node(operator, ["a"], ["y"], **given),
    ]
    if operator == "AveragePool":
        for node in nodes:
            node.attribute.append(helper.make_attribute("count_include_pad", 1))
    model = make_model(nodes, ((1, 3, 17, 17), (1, 3, 5, 5)), {}, opset=17)

    assert_as_onnx_runtime(model, host, weights(rng, 1, 3, 17, 17))


def resize_model(how, given, *, opset=18):
    """Return a Resize of a map [1, 2, 5, 7] by ``scales`` or to ``sizes``: its last input."""
    names = ["x", "", "scales"] if "scales" in given else ["x", "", "", "sizes"]
    constants = {name: np.asarray(one) for name, one in given.items()}
    node = helper.make_node("Resize", names, ["y"], **how)
    return make_model([node], ((1, 2, 5, 7), [None] * 4), constants, opset=opset)


def assert_right_or_refused(model, host, data, *, name):
    """Return whether the network was refused by the name of its operator; it must be right else."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    [expected] = session.run(None, {"x": data})
    try:
        answer, _ = run_compiled(model, host, data)
    except CompileFailed as error:
        if f"operator {name} " not in str(error):
            raise
        return True
    np.testing.assert_allclose(answer, expected, atol=1e-5 * np.abs(expected).max())
    return False


NEAREST, LINEAR, CUBIC = ({"mode": mode} for mode in ("nearest", "linear", "cubic"))
RESIZES = {
    "odd scales": (NEAREST, {"scales": np.array([1, 1, 2.1, 2.0], np.float32)}, True),
    "nearly whole scales": (NEAREST, {"scales": np.array([1, 1, 2, 2.0000002], np.float32)}, True),
    "linear by odd scales": (LINEAR, {"scales": np.array([1, 1, 0.6, 0.5], np.float32)}, True),
    "linear, antialias": (LINEAR | {"antialias": 1}, {"sizes": [1, 2, 3, 4]}, True),
    "whole scales": (NEAREST, {"scales": np.array([1, 1, 2, 3], np.float32)}, False),
    "sizes": (LINEAR, {"sizes": [1, 2, 8, 9]}, False),
    "sizes of some axes": (LINEAR | {"axes": [3, 2]}, {"sizes": [9, 8]}, False),
    "scales of one axis": (NEAREST | {"axes": [-1]}, {"scales": np.float32([2])}, False),
    "not larger": (
        LINEAR | {"keep_aspect_ratio_policy": "not_larger"},
        {"sizes": [1, 2, 8, 9]},
        True,
    ),
    "symmetric": (
        LINEAR | {"coordinate_transformation_mode": "half_pixel_symmetric"},
        {"sizes": [1, 2, 8, 9]},
        True,
    ),
}


@pytest.mark.parametrize("name", RESIZES)
def test_a_resize_is_right_or_refused(name, host, rng):
    how, given, is_refused = RESIZES[name]
    model = resize_model(how, given)

    found = assert_right_or_refused(model, host, weights(rng, 1, 2, 5, 7), name="Resize")

    assert found == is_refused


GIVEN = [
    {"scales": np.array([1, 1, 2, 2], np.float32)},
    {"scales": np.array([1, 1, 2.1, 1.3], np.float32)},
    {"scales": np.array([1, 1, 0.6, 0.5], np.float32)},
    {"sizes": [1, 2, 8, 9]},
    {"sizes": [1, 2, 10, 14]},
    {"sizes": [1, 2, 3, 4]},
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "coordinates", ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]
)
@pytest.mark.parametrize(
    "how",
    [
        *[
            {"nearest_mode": one}
            for one in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
        ],
        LINEAR,
        CUBIC,
        CUBIC | {"cubic_coeff_a": -0.5},
        CUBIC | {"exclude_outside": 1},
    ],
    ids=lambda how: "-".join(map(str, how.values())),
)
def test_every_mode_of_a_resize_is_right_or_refused(how, coordinates, host, rng):
    data = weights(rng, 1, 2, 5, 7)
    how = how | {"coordinate_transformation_mode": coordinates}

    refused = [
        assert_right_or_refused(resize_model(how, given), host, data, name="Resize")
        for given in GIVEN
    ]

    assert not any(refused[3:])  # sizes leave no doubt about the scales


WRONG_IF_IMPORTED = {
    "BatchNormalization": ("batch_normalization/batchnorm_example_training_mode", "training"),
    "ConvTranspose": ("convtranspose/convtranspose_output_shape", "output_shape"),
    "Dropout": ("dropout/training_dropout_default", "training"),
    "RoiAlign": ("roialign/roialign_mode_max", "mode max"),
}


@pytest.mark.parametrize("operator", WRONG_IF_IMPORTED)
def test_what_the_importer_computes_wrongly_is_refused(operator, host):
    name, reason = WRONG_IF_IMPORTED[operator]
    model, data, _ = node_case(name)
    del model.graph.output[1:]

    with pytest.raises(CompileFailed, match=f"operator {operator} .*{reason}"):
        run_compiled(model, host, data)
