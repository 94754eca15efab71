"""Graphs drawn at random from what networks consist of: compiled, they answer as ONNX Runtime does.

The images are those of the answer check: noise, both signs, faint, bright and black.
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.sites.agreement import compare
from cmpc_cost_models.sites.loaded import LoadedNetwork

SAME_SHAPE = {
    "BatchNormalization": {},
    "Clip": {},
    "Elu": {},
    "Gelu": {},
    "HardSigmoid": {},
    "HardSwish": {},
    "LeakyRelu": {"alpha": 0.2},
    "PRelu": {},
    "Relu": {},
    "Sigmoid": {},
    "Sin": {},  # of these two the importer makes the code
    "Softsign": {},
    "Softplus": {},
    "Tanh": {},
}
OPSET = 22  # from here on, shape inference counts the windows that there are


class Graph:
    """Nodes so far, with the shape of every tensor."""

    def __init__(self, draw, shape):
        self.draw = draw
        self.rng = np.random.default_rng(draw(st.integers(0, 99)))
        self.nodes, self.constants, self.shapes = [], {}, {"x": shape}

    def pick(self, *, like=None):
        """Draw a tensor, the later the likelier, of the shape of ``like`` if that is given."""
        fit = [name for name, one in self.shapes.items() if like in (None, one) and len(one) == 4]
        return fit[-1 - min(self.draw(st.integers(0, 3)), len(fit) - 1)]

    def weights(self, *shape, scale=1.0):
        name = f"w{len(self.constants)}"
        self.constants[name] = np.float32(scale) * self.rng.standard_normal(shape, dtype=np.float32)
        return name

    def constant(self, value):
        name = f"w{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def add(self, operator, inputs, **attributes):
        """Append a node; its result's shape is inferred."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        inferred = onnx.shape_inference.infer_shapes(self.model(name), data_prop=True)
        dims = inferred.graph.output[0].type.tensor_type.shape.dim
        self.shapes[name] = tuple(one.dim_value for one in dims)
        return name

    def model(self, output, shape=None):
        values = [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shapes["x"]),
            helper.make_tensor_value_info(output, TensorProto.FLOAT, shape),
        ]
        tensors = [numpy_helper.from_array(one, name) for name, one in self.constants.items()]
        graph = helper.make_graph(self.nodes, "drawn", values[:1], values[1:], tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 8
        return model


def add_convolution(graph, x):
    channels = graph.shapes[x][1]
    kernel, stride = graph.draw(st.sampled_from([1, 2, 3])), graph.draw(st.integers(1, 2))
    groups = graph.draw(st.sampled_from([1, 1, channels]))
    out = channels if groups > 1 else graph.draw(st.integers(1, 20))
    scale = (kernel * kernel * channels / groups) ** -0.5
    weight = graph.weights(out, channels // groups, kernel, kernel, scale=scale)
    inputs = [x, weight, *([graph.weights(out)] if graph.draw(st.booleans()) else [])]
    pads = [kernel // 2] * 4
    graph.add("Conv", inputs, strides=[stride] * 2, pads=pads, group=groups)


def add_function(graph, x):
    operator = graph.draw(st.sampled_from(sorted(SAME_SHAPE)))
    channels, inputs = graph.shapes[x][1], [x]
    if operator == "BatchNormalization":
        statistics = [graph.weights(channels) for _ in range(3)]
        inputs += [*statistics, graph.constant(graph.rng.random(channels, dtype=np.float32) + 0.1)]
    elif operator == "Clip":
        inputs += [graph.constant(np.float32(one)) for one in (-0.5, 6)]
    elif operator == "PRelu":
        inputs.append(graph.weights(channels, 1, 1))
    graph.add(operator, inputs, **SAME_SHAPE[operator])


def add_arithmetic(graph, x):
    operator = graph.draw(st.sampled_from(["Add", "Max", "Min", "Mul", "Sub"]))
    _, channels, height, width = graph.shapes[x]
    others = [(channels, 1, 1), (1, 1, height, width), (), (1, channels, height, width)]
    kind = graph.draw(st.integers(0, len(others)))
    other = graph.weights(*others[kind]) if kind < len(others) else graph.pick(like=graph.shapes[x])
    graph.add(operator, [x, other] if graph.draw(st.booleans()) else [other, x])


def add_pool(graph, x):
    operator = graph.draw(st.sampled_from(["AveragePool", "MaxPool"]))
    kernel, stride = graph.draw(st.integers(1, 3)), graph.draw(st.integers(1, 2))
    ceil_mode = int(graph.draw(st.booleans()))
    pads = [graph.draw(st.integers(0, kernel - 1)) for _ in range(4)]
    if min(graph.shapes[x][2:]) >= kernel:
        window = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": pads}
        graph.add(operator, [x], ceil_mode=ceil_mode, **window)


def add_mean_of_all(graph, x):
    operator = graph.draw(st.sampled_from(["GlobalAveragePool", "GlobalMaxPool"]))
    pooled = graph.add(operator, [x])
    if graph.draw(st.booleans()):  # squeeze and excite
        gate = graph.add("Sigmoid", [pooled])
        graph.add("Mul", [x, gate])


def add_move(graph, x):
    channels = graph.shapes[x][1]
    kind = graph.draw(st.sampled_from(["Concat", "Pad", "Resize", "Slice", "Split"]))
    if kind == "Concat":
        graph.add(kind, [x, graph.pick(like=graph.shapes[x])], axis=1)
    elif kind == "Pad":
        graph.add(kind, [x, graph.constant(np.array([0, 0, 1, 0, 0, 0, 0, 2]))])
    elif kind == "Resize":
        scales = graph.constant(np.array([1, 1, 2, 1], np.float32))
        graph.add(kind, [x, "", scales], mode="nearest")
    elif kind == "Slice":
        step = graph.draw(st.integers(1, 2))
        ends = [[channels // 3], [channels], [1], [step]]
        graph.add(kind, [x, *(graph.constant(np.array(one)) for one in ends)])
    elif channels % 2 == 0 and channels > 2:
        size = list(graph.shapes[x])
        apart = [size[0], 2, channels // 2, *size[2:]]
        grouped = graph.add("Reshape", [x, graph.constant(np.array(apart))])
        swapped = graph.add("Transpose", [grouped], perm=[0, 2, 1, 3, 4])
        graph.add("Reshape", [swapped, graph.constant(np.array(size))])


def add_head(graph, x):
    """End in a vector of unit length, as embeddings do."""
    flat = graph.add("Flatten", [x])
    dense = graph.weights(graph.shapes[flat][1], 7, scale=graph.shapes[flat][1] ** -0.5)
    vector = graph.add("Gemm", [flat, dense, graph.weights(7)])
    norm = graph.add("ReduceL2", [vector, graph.constant(np.array([1]))])
    floors = [graph.constant(np.float32(one)) for one in (3.0, 1e-12)]
    for floor in graph.draw(st.permutations(floors)):
        norm = graph.add("Max", [norm, floor])
    graph.add("Div", [vector, norm])


STEPS = [add_convolution, add_convolution, add_function, add_function, add_arithmetic]
STEPS += [add_pool, add_mean_of_all, add_move]


@st.composite
def graphs(draw):
    sizes = st.integers(3, 12)
    graph = Graph(draw, (1, draw(st.integers(1, 20)), draw(sizes), draw(sizes)))
    for step in draw(st.lists(st.sampled_from(STEPS), min_size=2, max_size=8)):
        step(graph, graph.pick())
    if draw(st.booleans()) or not graph.nodes:
        add_head(graph, graph.pick())
    last = list(graph.shapes)[-1]
    return graph.model(last, graph.shapes[last])


def assert_compiles_rightly(model, host):
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "drawn.onnx"
        onnx.save(model, path)
        compiled = compile_network(path, host, cache_dir=Path(name))
        network = LoadedNetwork(compiled.path, compiled.input_shape)

        objection = compare(network.run, path, compiled.input_shape).objection

        assert objection is None, onnx.printer.to_text(model.graph)


HOW = settings(
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@settings(HOW, max_examples=8)
@given(model=graphs())
def test_a_drawn_graph_computes_what_onnx_runtime_computes(model, host):
    assert_compiles_rightly(model, host)


@pytest.mark.slow
@settings(HOW, max_examples=150)
@given(model=graphs())
def test_many_drawn_graphs_compute_what_onnx_runtime_computes(model, host):
    assert_compiles_rightly(model, host)
