"""Whole networks that others exported: the light models inside the onnx package.

Their weights are constants of one value each, written as ConstantOfShape nodes, and a network of
equal weights answers the same to everything. So the weights are drawn at random here.
"""

from pathlib import Path

import numpy as np
import onnx
import onnx.backend.test
import onnxruntime
import pytest
from onnx import numpy_helper

from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.graphs.reading import load_graph
from cmpc_cost_models.plans.planner import plan_network
from cmpc_cost_models.sites.loaded import LoadedNetwork

FOLDER = Path(onnx.backend.test.__file__).parent / "data" / "light"
NAMES = [path.stem.removeprefix("light_") for path in sorted(FOLDER.glob("light_*.onnx"))]
FAST_TO_PLAN = {"inception_v1", "resnet50", "shufflenet", "squeezenet"}
FAST_TO_COMPILE = {"squeezenet"}


def with_random_weights(model):
    """Return ``model`` with its ConstantOfShape nodes as random constants that keep the scale."""
    rng = np.random.default_rng(0)
    shapes = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    left = []
    for node in model.graph.node:
        if node.op_type != "ConstantOfShape":
            left.append(node)
            continue
        shape = tuple(shapes[node.input[0]])
        if len(shape) > 1:
            value = rng.standard_normal(shape, dtype=np.float32)
            value *= np.sqrt(np.float32(2) / np.prod(shape[1:]))
        else:  # of batch norms, and biases: variances must be positive
            value = rng.random(shape, dtype=np.float32) / 2 + np.float32(0.75)
        model.graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(left)
    model.ir_version = 8
    return model


def marked(fast):
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]


@pytest.mark.parametrize("name", marked(FAST_TO_PLAN))
def test_every_node_of_the_light_models_runs_on_our_kernels(name):
    model = load_graph(FOLDER / f"light_{name}.onnx")

    assert plan_network(model).num_imported == 0


@pytest.mark.parametrize("name", marked(FAST_TO_COMPILE))
def test_the_light_models_with_random_weights_answer_as_onnx_runtime(
    name, tmp_path, host, cache_dir
):
    path = tmp_path / f"{name}.onnx"
    onnx.save(with_random_weights(onnx.load(FOLDER / f"light_{name}.onnx")), path)

    compiled = compile_network(path, host, cache_dir=cache_dir)

    image = np.random.default_rng(1).standard_normal(compiled.input_shape, dtype=np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    [expected] = session.run(None, {session.get_inputs()[0].name: image})
    answer = LoadedNetwork(compiled.path, compiled.input_shape).run(image)
    assert np.ptp(expected) > 1e-4 * np.abs(expected).max()  # it does depend on the weights
    np.testing.assert_allclose(answer, expected, atol=1e-4 * np.abs(expected).max())
