"""What cleaning leaves of a graph, and that it answers the same."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from cmpc_cost_models.graphs.cleaning import clean_model, folded_nodes
from cmpc_cost_models.graphs.parts import attributes_of


def make_model(nodes, shapes, constants=None):
    given, wanted = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip("xy", shapes, strict=True)
    )
    tensors = [numpy_helper.from_array(one, name) for name, one in (constants or {}).items()]
    graph = helper.make_graph(nodes, "given", [given], [wanted], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model


def answers(model, data):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": data})[0]


def exported_like_torch():
    """A flatten whose shape is computed from the input's, a weight out of nodes, and no-ops."""
    zero, one = np.array([0]), np.array([1])
    value = numpy_helper.from_array(np.array([0.5], np.float32))
    nodes = [
        helper.make_node("ConstantOfShape", ["weight_shape"], ["w"], value=value),
        helper.make_node("Conv", ["x", "w"], ["c"], auto_pad="SAME_UPPER", strides=[2, 2]),
        helper.make_node("Dropout", ["c"], ["d", "mask"]),
        helper.make_node("Cast", ["d"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Shape", ["f"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["batch"]),
        helper.make_node("Concat", ["batch", "minus"], ["flat"], axis=0),
        helper.make_node("Reshape", ["f", "flat"], ["r"]),
        helper.make_node("Identity", ["r"], ["y"]),
        helper.make_node("Exp", ["r"], ["unread"]),
    ]
    constants = {"weight_shape": np.array([4, 3, 3, 3]), "zero": zero, "minus": -one}
    return make_model(nodes, ([1, 3, 8, 7], [1, 64]), constants)


def test_only_what_depends_on_the_input_is_left():
    cleaned = clean_model(exported_like_torch())

    assert [node.op_type for node in cleaned.graph.node] == ["Conv", "Reshape", "Identity"]
    assert {operator for _, operator in folded_nodes(cleaned)} == {
        *["Cast", "Concat", "ConstantOfShape", "Dropout", "Exp", "Gather", "Shape"]
    }
    # 8 rows to 4 by windows of 3 in steps of 2 need one more; 7 columns need one on either side
    assert attributes_of(cleaned.graph.node[0])["pads"] == [0, 1, 1, 1]


def test_a_cleaned_graph_answers_the_same(rng):
    model = exported_like_torch()
    data = rng.random((1, 3, 8, 7), dtype=np.float32)

    np.testing.assert_array_equal(answers(clean_model(model), data), answers(model, data))


def test_cleaning_again_changes_nothing():
    once = clean_model(exported_like_torch())
    again = clean_model(once)

    assert again.graph == once.graph
    assert folded_nodes(again) == folded_nodes(once)
