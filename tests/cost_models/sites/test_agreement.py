"""Which answers pass for right: ONNX Runtime answers for a faulty network here, too."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cmpc_cost_models.sites import agreement as module
from cmpc_cost_models.sites.agreement import (
    agreement,
    check_images,
    compare,
    expected_answers,
    judge,
)

SHAPE = (1, 4, 6, 6)
WEIGHT = np.random.default_rng(0).standard_normal((8, 4, 3, 3), dtype=np.float32)
BIAS = np.random.default_rng(1).standard_normal(8, dtype=np.float32)


def save(path, nodes, constants, *, shape=SHAPE):
    """Save the network of ``nodes`` from ``x`` to ``y``."""
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    wanted = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    tensors = [numpy_helper.from_array(np.asarray(one), name) for name, one in constants.items()]
    graph = helper.make_graph(nodes, "given", [given], [wanted], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def convolution(path, *, weight=WEIGHT, bias=BIAS, then=("Relu", {})):
    operator, attributes = then
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1] * 4),
        helper.make_node(operator, ["c"], ["y"], **attributes),
    ]
    return save(path, nodes, {"w": weight, "b": bias})


def answers_of(path):
    """Return a function that answers as ONNX Runtime does for the network in ``path``."""
    return lambda image: expected_answers(path, [image])[0]


def one_channel_off():
    weight = WEIGHT.copy()
    weight[3] *= np.float32(1.05)
    return weight


FAULTS = {
    "no bias": ({}, {"bias": np.zeros_like(BIAS)}),
    "one bias": ({}, {"bias": np.where(np.arange(8) == 5, BIAS + np.float32(0.05), BIAS)}),
    "weights 1 % off": ({}, {"weight": np.float32(1.01) * WEIGHT}),
    "one channel 5 % off": ({}, {"weight": one_channel_off()}),
    "another activation": ({}, {"then": ("Abs", {})}),
    "another slope": ({"then": ("LeakyRelu", {"alpha": 0.1})}, {"then": ("LeakyRelu", {})}),
    "another scale": ({"then": ("Elu", {"alpha": 1.0})}, {"then": ("Elu", {"alpha": 0.9})}),
    "transposed": ({}, {"weight": WEIGHT.swapaxes(2, 3)}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_network_is_refused(fault, tmp_path):
    right, wrong = FAULTS[fault]
    right_path = convolution(tmp_path / "right.onnx", **right)
    wrong_path = convolution(tmp_path / "wrong.onnx", **wrong)

    assert compare(answers_of(right_path), right_path, SHAPE).objection is None
    assert "wrong answer" in compare(answers_of(wrong_path), right_path, SHAPE).objection


LIMITS = {
    "a floor under a length": (
        [
            helper.make_node("ReduceL2", ["x"], ["n"], axes=[1]),
            helper.make_node("Max", ["n", "limit"], ["m"]),
            helper.make_node("Div", ["x", "m"], ["y"]),
        ],
        (3.0, 1e-12),
    ),
    "a ceiling": ([helper.make_node("Min", ["x", "limit"], ["y"])], (6.0, 8.0)),
    "a lower bound": ([helper.make_node("Max", ["x", "limit"], ["y"])], (-3.0, -4.0)),
    "a floor of zero": ([helper.make_node("Max", ["x", "limit"], ["y"])], (0.0, -1e30)),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_that_noise_never_reaches_must_be_kept(limit, tmp_path):
    nodes, (right, wrong) = LIMITS[limit]
    for node in nodes:
        if node.op_type == "ReduceL2":  # axes are an input of this operator set
            del node.attribute[:]
            node.input[:] = ["x", "axes"]
    right_path, wrong_path = (
        save(
            tmp_path / f"{name}.onnx",
            nodes,
            {"limit": np.float32(one), "axes": np.array([1])},
            shape=(1, 64),
        )
        for name, one in (("right", right), ("wrong", wrong))
    )

    assert compare(answers_of(right_path), right_path, (1, 64)).objection is None
    assert "wrong answer" in compare(answers_of(wrong_path), right_path, (1, 64)).objection


def test_answers_to_bright_images_do_not_hide_a_wrong_one_to_noise(tmp_path):
    """The exponential of a bright image has 38 digits, that of noise one."""
    path = save(tmp_path / "exp.onnx", [helper.make_node("Exp", ["x"], ["y"])], {})
    right = answers_of(path)

    def wrong(image):
        return right(image) + np.where(image < 1, image, 0)

    assert compare(right, path, SHAPE).objection is None
    assert "wrong answer" in compare(wrong, path, SHAPE).objection


def test_an_objection_tells_how_far_the_answer_is_from_onnx_runtime(tmp_path, monkeypatch):
    path = convolution(tmp_path / "net.onnx")
    expected = expected_answers(path, check_images(SHAPE))
    monkeypatch.setattr(module, "_exact_answer", lambda *_: np.full_like(expected[0], 0.1))

    found = judge([2 * one for one in expected], expected, path, check_images(SHAPE))

    assert found.relative_difference == pytest.approx(1)


def sigmoid_of_a_distance(path, distance):
    nodes = [
        helper.make_node("InstanceNormalization", ["x", "one", "zero"], ["n"]),
        helper.make_node("Sub", ["n", "distance"], ["s"]),
        helper.make_node("Sigmoid", ["s"], ["y"]),
    ]
    constants = {
        "one": np.ones(4, np.float32),
        "zero": np.zeros(4, np.float32),
        "distance": np.float32(distance),
    }
    return save(path, nodes, constants)


def exact_sigmoid_of_a_distance(distance):
    def answer(image):
        image = image.astype(np.float64)
        centred = image - image.mean(axis=(2, 3), keepdims=True)
        normal = centred / np.sqrt(image.var(axis=(2, 3), keepdims=True) + 1e-5)
        return (1 / (1 + np.exp(distance - normal))).astype(np.float32)

    return answer


def test_an_answer_more_exact_than_that_of_onnx_runtime_is_right(tmp_path):
    """All numbers are below 1e-5, where ONNX Runtime's sigmoid has few digits that are right."""
    path = sigmoid_of_a_distance(tmp_path / "far.onnx", 16)
    exact = exact_sigmoid_of_a_distance(16)
    image = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
    assert agreement(answers_of(path)(image), exact(image)).objection  # it is the inexact one

    assert compare(exact, path, SHAPE).objection is None
    assert "wrong answer" in compare(exact_sigmoid_of_a_distance(16.1), path, SHAPE).objection


def test_an_infinity_is_right_where_onnx_runtime_has_it_and_only_there(tmp_path):
    path = save(tmp_path / "log.onnx", [helper.make_node("Log", ["x"], ["y"])], {})
    right = answers_of(path)

    def without_infinities(image):
        return np.nan_to_num(right(image), neginf=-87.0)

    def with_another_nan(image):
        answer = right(image).copy()
        answer[0, 0, 0, 0] = np.nan
        return answer

    assert compare(right, path, SHAPE).objection is None
    for wrong in (without_infinities, with_another_nan):
        assert "must be finite" in compare(wrong, path, SHAPE).objection


def test_a_network_without_any_finite_answer_is_not_called_right(tmp_path):
    nodes = [helper.make_node("Mul", ["x", "nan"], ["y"])]
    path = save(tmp_path / "nan.onnx", nodes, {"nan": np.float32(np.nan)})

    assert "must be finite" in compare(answers_of(path), path, SHAPE).objection


def test_an_answer_of_another_size_is_wrong(tmp_path):
    path = convolution(tmp_path / "net.onnx")
    right = answers_of(path)

    found = compare(lambda image: right(image)[:, 1:], path, SHAPE)

    assert "must have as many numbers" in found.objection


def test_agreement_of_equal_answers_is_whole_and_its_difference_is_relative():
    answer = np.array([3.0, -4.0], np.float32)

    assert agreement(answer, answer).relative_difference == 0
    assert agreement(answer + np.float32(1), answer).relative_difference == pytest.approx(1 / 4)


def test_of_several_right_answers_the_one_that_agrees_least_is_told(tmp_path):
    path = convolution(tmp_path / "net.onnx")
    images = check_images(SHAPE)[:2]
    expected = [np.array([1.0, 0.0], np.float32)] * 2
    near, nearer = np.array([1.0, 8e-4], np.float32), np.array([1.0, 1e-4], np.float32)

    for given in ([near, nearer], [nearer, near]):
        found = judge(given, expected, path, images)

        assert found.objection is None
        assert found.relative_difference == pytest.approx(8e-4)
        assert 1 - found.cosine == pytest.approx(8e-4**2 / 2, rel=0.01)
