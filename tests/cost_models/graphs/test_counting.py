import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from cmpc_cost_models.errors import BadNetworkFile
from cmpc_cost_models.graphs.counting import count_network
from cmpc_cost_models.graphs.reading import input_and_output_shape, load_graph
from cmpc_cost_models.graphs.writing import GraphWriter
from cmpc_cost_models.plans.planner import plan_network
from cmpc_cost_models.plans.specs import Convolution


def test_a_tiny_network_counts_to_what_the_hand_counts(tmp_path):
    writer = GraphWriter("counted", (1, 3, 8, 8))
    ones = np.ones
    x = writer.affine(writer.input, ones(3, np.float32), ones(3, np.float32))  # counts nothing
    x = writer.conv(x, ones((4, 3, 3, 3), np.float32), ones(4, np.float32), stride=2, padding=1)
    x = writer.conv(x, ones((4, 1, 3, 3), np.float32), padding=1, groups=4)
    x = writer.dense(writer.global_average_pool(x), ones((5, 4), np.float32), ones(5, np.float32))
    writer.save(tmp_path / "counted.onnx", x)

    count = count_network(tmp_path / "counted.onnx")

    assert count.macs == 4 * 4 * (4 * 3 * 9) + 4 * 4 * (4 * 9) + 5 * 4
    assert count.parameters == (4 * 3 * 9 + 4) + 4 * 9 + (5 * 4 + 5)


def test_groups_dilation_and_transposition_count_to_what_the_hand_counts(tmp_path):
    def constant(name, *shape):
        return helper.make_tensor(name, TensorProto.FLOAT, shape, np.ones(shape).ravel())

    nodes = [
        helper.make_node("Conv", ["x", "grouped"], ["a"], group=2, dilations=[2, 3]),
        helper.make_node("ConvTranspose", ["a", "up"], ["b"], strides=[2, 2]),
        helper.make_node("ReduceMean", ["b"], ["c"], axes=[2, 3], keepdims=0),
        helper.make_node("Gemm", ["c", "dense"], ["y"], transB=1),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 9, 9])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 7])
    weights = [constant("grouped", 6, 2, 3, 3), constant("up", 6, 5, 2, 2), constant("dense", 7, 5)]
    graph = helper.make_graph(nodes, "counted", [x], [y], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, tmp_path / "counted.onnx")

    count = count_network(tmp_path / "counted.onnx")

    # [1, 6, 5, 3] of windows of 9 in 2 channels; each of these numbers meets 5 filters of 4
    assert count.macs == 6 * 5 * 3 * (2 * 9) + 6 * 5 * 3 * (5 * 4) + 7 * 5
    assert count.parameters == 6 * 2 * 9 + 6 * 5 * 4 + 7 * 5


@pytest.mark.parametrize(
    ("data", "options", "macs"),
    [
        ([2, 3], {}, 2 * 5 * 3),
        ([3, 2], {"transA": 1}, 2 * 5 * 3),
        (["batch", 3], {}, 1 * 5 * 3),  # of one image, where the file leaves their number open
    ],
)
def test_a_dense_layer_counts_a_product_of_the_summed_length_for_each_output(
    data, options, macs, tmp_path
):
    rows = data[1] if options else data[0]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, data)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows, 5])
    weight = helper.make_tensor("weight", TensorProto.FLOAT, [3, 5], [1.0] * 15)
    node = helper.make_node("Gemm", ["x", "weight"], ["y"], **options)
    graph = helper.make_graph([node], "dense", [x], [y], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, tmp_path / "dense.onnx")

    assert count_network(tmp_path / "dense.onnx").macs == macs


# He et al., CVPR 2016, table 1; Sandler et al., CVPR 2018, table 4; Ma et al., ECCV 2018, table 8
@pytest.mark.parametrize(
    ("name", "million_macs"), [("resnet-18", 1800), ("mobilenet-v2", 300), ("shufflenet-v2", 146)]
)
def test_a_network_counts_to_what_its_paper_says(name, million_macs, published):
    assert count_network(published[name]).macs == pytest.approx(million_macs * 1e6, rel=0.01)


@pytest.mark.parametrize("name", ["resnet-18", "mobilenet-v2", "shufflenet-v2"])
def test_the_calls_of_a_network_do_the_arithmetic_of_its_graph(name, published):
    calls = plan_network(load_graph(published[name])).calls
    macs = sum(one.spec.macs for one in calls if isinstance(one.spec, Convolution))

    assert macs == count_network(published[name]).macs


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    path = Path(__file__).parents[3] / "benchmarks" / "networks.py"
    spec = importlib.util.spec_from_file_location("networks", path)
    networks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(networks)
    return networks.write_published_networks(tmp_path_factory.mktemp("published"))


def test_a_layer_whose_shape_is_not_fixed_is_refused(tmp_path):
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, "rows", 3])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, [1, "rows", 2])
    weight = helper.make_tensor("weight", TensorProto.FLOAT, [3, 2], [1.0] * 6)
    node = helper.make_node("MatMul", ["image", "weight"], ["result"])
    graph = helper.make_graph([node], "dynamic", [image], [result], [weight])
    onnx.save(helper.make_model(graph), tmp_path / "dynamic.onnx")

    with pytest.raises(BadNetworkFile, match="static shape"):
        count_network(tmp_path / "dynamic.onnx")


def test_a_file_that_is_no_network_is_refused(tmp_path):
    (tmp_path / "text.onnx").write_text("no network")

    with pytest.raises(BadNetworkFile, match="valid ONNX"):
        count_network(tmp_path / "text.onnx")
    with pytest.raises(BadNetworkFile, match="can't be read"):
        count_network(tmp_path / "nowhere.onnx")


def save_identity(path, *, element_type=TensorProto.FLOAT, shapes=((1, 3), (1, 3)), more=()):
    """Save a network of one node; ``more`` are further outputs."""
    given, wanted = (
        helper.make_tensor_value_info(name, element_type, shape)
        for name, shape in zip("xy", shapes, strict=True)
    )
    nodes = [helper.make_node("Neg", ["x"], [name]) for name in ("y", *more)]
    others = [helper.make_tensor_value_info(name, element_type, shapes[1]) for name in more]
    graph = helper.make_graph(nodes, "given", [given], [wanted, *others])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"shapes": ([1, 3, "height", "width"],) * 2}, r"x: float32 \[1, 3, height, width\]"),
        ({"shapes": ([1, -1],) * 2}, r"x: float32 \[1, -1\]"),
        ({"shapes": ([1, 0],) * 2}, r"x: float32 \[1, 0\]"),
        ({"shapes": ([],) * 2}, r"x: float32 \[\]"),
        ({"element_type": TensorProto.FLOAT16}, r"x: float16 \[1, 3\]"),
        ({"element_type": TensorProto.INT64}, r"x: int64 \[1, 3\]"),
        ({"element_type": TensorProto.INT8}, r"x: int8 \[1, 3\]"),
        ({"more": ["z"]}, r"outputs y: float32 \[1, 3\], z: float32 \[1, 3\]"),
    ],
    ids=["open", "minus one", "zero", "scalar", "float16", "int64", "int8", "outputs"],
)
def test_inputs_and_outputs_that_are_no_fixed_float32_are_refused_with_what_they_are(
    given, words, tmp_path
):
    model = load_graph(save_identity(tmp_path / "given.onnx", **given))

    with pytest.raises(BadNetworkFile, match=words):
        input_and_output_shape(model)
