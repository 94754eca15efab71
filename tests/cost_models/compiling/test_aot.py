"""Networks of our kernels alone are one function; all others keep the virtual machine."""

import _ctypes
import ctypes
import gc
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from cmpc_base.hashing import file_hash
from cmpc_cost_models.compiling.aot import write_network
from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.graphs.reading import load_graph
from cmpc_cost_models.plans.planner import plan_network
from cmpc_cost_models.sites.executors import AheadOfTime, VirtualMachine
from cmpc_cost_models.sites.loaded import LoadedNetwork

SHAPE = [1, 4, 6, 6]


def save_network(path, operators, shape=SHAPE):
    """Write a chain of operators of one input."""
    names = ["x", *(f"value_{number}" for number in range(1, len(operators))), "y"]
    nodes = [
        helper.make_node(operator, [source], [result])
        for operator, source, result in zip(operators, names, names[1:], strict=False)
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)


@pytest.mark.parametrize(
    ("operators", "shape", "executor", "kind"),
    [
        (["Relu", "Sigmoid"], SHAPE, "aot", AheadOfTime),
        (["Relu", "Sin"], SHAPE, "vm", VirtualMachine),
        (["Identity"], [1, 4], "vm", VirtualMachine),  # nothing would fill the answer
    ],
)
def test_a_network_says_which_way_it_went_and_answers_either_way(
    operators, shape, executor, kind, host, tmp_path, rng
):
    path = tmp_path / "net.onnx"
    save_network(path, operators, shape)

    compiled = compile_network(path, host, cache_dir=tmp_path)
    network = LoadedNetwork(compiled.path, compiled.input_shape)

    assert compiled.executor == executor
    assert isinstance(network.executor, kind)
    image = rng.standard_normal(shape, dtype=np.float32)
    [expected] = onnxruntime.InferenceSession(path).run(None, {"x": image})
    answer = network.run(image)
    assert answer.shape == expected.shape
    np.testing.assert_allclose(answer, expected, atol=1e-6)


def test_what_is_answered_is_never_overwritten_by_a_later_run(host, cache_dir, tiny_network, rng):
    compiled = compile_network(tiny_network, host, cache_dir=cache_dir)
    network = LoadedNetwork(compiled.path, compiled.input_shape)
    images = rng.random((2, *compiled.input_shape), dtype=np.float32)

    first = network.run(images[0])
    kept = first.copy()
    network.run(images[1])
    another = LoadedNetwork(compiled.path, compiled.input_shape).run(images[1])

    np.testing.assert_array_equal(first, kept)
    assert not np.array_equal(another, kept)
    np.testing.assert_array_equal(network.run(images[0]), kept)


class Tensor(ctypes.Structure):
    """DLPack's DLTensor."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("rank", ctypes.c_int32),
        ("dtype", ctypes.c_uint32),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("byte_offset", ctypes.c_uint64),
    )


class Argument(ctypes.Structure):
    """TVMFFIAny with a DLTensor."""

    _fields_ = (
        ("kind", ctypes.c_int32),
        ("padding", ctypes.c_int32),
        ("tensor", ctypes.POINTER(Tensor)),
    )


def run_without_tvm(path, image):
    """Return the answer, float32 [12], of a network that is loaded for this one run."""
    library = ctypes.CDLL(str(path))
    memory = np.zeros(2**14, np.float32)
    memory = memory[-(memory.ctypes.data // 4) % 16 :]  # begins at a multiple of 64 bytes
    given, answer = memory[: image.size], memory[1024 : 1024 + 12]
    given[:] = image.ravel()
    tensors = [Tensor(data=one.ctypes.data, device=(1, 0)) for one in (given, answer)]
    dltensor_pointer = 7
    arguments = (Argument * 2)(
        *(Argument(dltensor_pointer, 0, ctypes.pointer(one)) for one in tensors)
    )
    assert library["__tvm_ffi_network_run"](None, arguments, 2, None) == 0
    _ctypes.dlclose(library._handle)
    return answer


def test_a_network_runs_without_anything_of_tvms(host, cache_dir, tiny_network, rng):
    compiled = compile_network(tiny_network, host, cache_dir=cache_dir)
    image = rng.random(compiled.input_shape, dtype=np.float32)

    answer = run_without_tvm(compiled.path, image)

    [expected] = onnxruntime.InferenceSession(tiny_network).run(None, {"image": image})
    np.testing.assert_allclose(answer, expected[0], atol=1e-6)


class Allocated(ctypes.Structure):
    """The C library's mallinfo2."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in (*"abcdefg", "in_use", "i", "j"))


def allocated_bytes():
    gc.collect()  # ctypes makes a class for each library
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = Allocated
    return mallinfo().in_use


def test_a_network_that_is_unloaded_leaves_no_memory_behind(
    host, cache_dir, tiny_network, tmp_path, rng
):
    compiled = compile_network(tiny_network, host, cache_dir=cache_dir)
    path = shutil.copy(compiled.path, tmp_path / "copy.so")  # that nothing else keeps loaded
    image = rng.random(compiled.input_shape, dtype=np.float32)

    run_without_tvm(path, image)
    before = allocated_bytes()
    for _ in range(200):
        run_without_tvm(path, image)

    assert allocated_bytes() - before < 200 * 64  # a block is larger than that


def test_each_call_of_a_run_is_stamped_in_order(host, cache_dir, tiny_network):
    compiled = compile_network(tiny_network, host, cache_dir=cache_dir)
    network = LoadedNetwork(compiled.path, compiled.input_shape)

    stamps_ns = network.executor.stamps_ns(5, len(compiled.calls))

    assert stamps_ns.shape == (5, len(compiled.calls) + 1)
    assert (np.diff(stamps_ns.ravel()) >= 0).all()
    assert (stamps_ns > 0).all()


def test_the_same_network_is_the_same_file_wherever_it_is_compiled(host, tiny_network, tmp_path):
    """Also where a path has what means something to a compiler."""
    plain, odd = (
        compile_network(tiny_network, host, cache_dir=tmp_path / name)
        for name in ("cache", 'a "quoted" \\ cache, it is')
    )

    assert plain.path != odd.path
    assert file_hash(plain.path) == file_hash(odd.path)


def test_weights_that_lie_on_an_odd_path_are_found(host, tiny_network, tmp_path, monkeypatch):
    folder = tmp_path / 'a "quoted" \\ folder, it is'
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))

    compiled = compile_network(tiny_network, host, cache_dir=tmp_path)

    assert compiled.executor == "aot"


def test_imported_nodes_are_no_call_that_one_function_makes(tmp_path):
    save_network(tmp_path / "net.onnx", ["Relu", "Sin"])
    plan = plan_network(load_graph(tmp_path / "net.onnx"))

    with pytest.raises(BadArgument, match="one function must make all calls of a plan"):
        write_network(plan, lambda _: "kernel")
