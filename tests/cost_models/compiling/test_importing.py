"""What is left to TVM's importer, said in other words, or refused."""

import importlib
import pkgutil

import numpy as np
import onnx
import onnxruntime
import pytest
from made_up_models import (
    SHAPE,
    as_network,
    assert_as_onnx_runtime,
    is_of_float32,
    make_model,
    node,
    node_case,
    node_cases,
    run_compiled,
    weights,
)
from onnx import helper, numpy_helper

from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.errors import BadNetworkFile, CompileFailed

BY_TVM = [
    "convtranspose/convtranspose_pads",
    "flatten/flatten_axis1",
    "gemm/gemm_all_attributes",
    "instance_normalization/instancenorm_example",
    "softmax/softmax_axis_2",
    "tanh/tanh",
    "transpose/transpose_all_permutations_3",
]


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


@pytest.mark.parametrize("name", BY_TVM)
def test_other_operators_go_through_the_importer(name, host):
    model, data, expected = node_case(name)

    answer, num_imported = run_compiled(model, host, data)

    assert num_imported > 0
    np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)


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


def test_a_network_names_its_calls_in_order_and_as_often_as_it_makes_them(host, tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Sin", ["c"], ["s"]),
        helper.make_node("Conv", ["s", "w"], ["y"]),
    ]
    model = make_model(nodes, (SHAPE, SHAPE), {"w": np.ones((10, 10, 1, 1), np.float32)})
    onnx.save(model, tmp_path / "given.onnx")

    built = compile_network(tmp_path / "given.onnx", host, cache_dir=tmp_path)

    kinds = {one.symbol: one.kind for one in built.kernels}
    convolve = ["image to map", "convolution", "map to image"]
    assert [kinds[one.symbol] for one in built.calls if one.made_by != "vm"] == [
        *convolve,
        "tir sin",
        *convolve,
    ]
    assert [kinds[one.symbol] for one in built.calls if one.made_by == "import"] == ["tir sin"]
    assert {one.symbol for one in built.calls if one.made_by == "vm"} == {"relax.memory.view"}
    sine = next(one for one in built.kernels if one.kind == "tir sin")
    assert (sine.num_bytes, sine.workload) == (2 * 4 * 350, None)


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
