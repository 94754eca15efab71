"""Small ONNX models for the tests, and how they are compiled, run and compared."""

import importlib
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.sites.loaded import LoadedNetwork


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


def weights(rng, *shape):
    return rng.standard_normal(shape, dtype=np.float32)


def node(operator, inputs="x", outputs="y", **given):
    return helper.make_node(operator, inputs.split(), outputs.split(), **given)
