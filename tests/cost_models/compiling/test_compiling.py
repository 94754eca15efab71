"""What compiled networks answer, against ONNX Runtime."""

import errno
import json
import shutil
import subprocess
import sys
from functools import partial

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from cmpc_base.cache import Cache
from cmpc_base.hashing import file_hash
from cmpc_base.trimming import trim
from cmpc_cost_models.compiling import executable
from cmpc_cost_models.compiling import network as compiling
from cmpc_cost_models.compiling.entries import LIBRARY_NAME, find_compiled, keep_compiled
from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.errors import BadNetworkFile, CompileFailed
from cmpc_cost_models.graphs.counting import count_network
from cmpc_cost_models.graphs.reading import load_graph
from cmpc_cost_models.graphs.writing import GraphWriter
from cmpc_cost_models.plans.planner import plan_network
from cmpc_cost_models.sites.loaded import LoadedNetwork
from cmpc_cost_models.targets.table import find_target

ELF_MACHINE, AARCH64 = 18, 183  # offset and value in the head of an object file


def assert_answers_as_onnx_runtime(path, compiled, run=None):
    image = np.random.default_rng(3).random(compiled.input_shape, dtype=np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    [expected] = session.run(None, {session.get_inputs()[0].name: image})
    run = run or LoadedNetwork(compiled.path, compiled.input_shape).run
    answer = run(image)
    np.testing.assert_allclose(
        answer, expected.reshape(answer.shape), atol=2e-5 * np.abs(expected).max()
    )
    np.testing.assert_array_equal(run(image), answer)  # leaves nothing behind


def write_odd_network(path, rng, *, size_px, channels):
    """Every kernel of ours, on sizes that divide into nothing."""

    def weight(*shape):
        return rng.standard_normal(shape, dtype=np.float32) / np.float32(
            np.sqrt(np.prod(shape[1:]))
        )

    writer = GraphWriter("odd", (1, 3, size_px, size_px))
    half = rng.random(3, dtype=np.float32)
    x = writer.affine(writer.input, half, half)
    x = writer.relu(writer.conv(x, weight(channels, 3, 3, 3), weight(channels, 1)[:, 0], padding=1))
    even, odd = (writer.slice_channels(x, start=start, step=2) for start in (0, 1))
    width = writer.shape(odd)[1]
    y = writer.conv(odd, weight(width, 1, 5, 5), stride=1, padding=2, groups=width)
    y = writer.relu(writer.conv(y, weight(channels + 2, width, 1, 1)))
    x = writer.concat([even, y])
    kept = writer.shape(x)[1]
    y = writer.conv(x, weight(kept, kept, 3, 3), padding=1)
    x = writer.relu(writer.add(y, x))
    x = writer.max_pool(x, kernel=3, stride=2, padding=1)
    y = writer.conv(x, weight(kept, 1, 7, 7), stride=2, padding=3, groups=kept)
    z = writer.conv(x, weight(5, kept, 1, 1), weight(5, 1)[:, 0], stride=2)
    x = writer.concat([y, z, y])
    x = writer.add(x, writer.relu(x))
    x = writer.global_average_pool(x)
    x = writer.dense(x, weight(9, writer.shape(x)[1]), weight(9, 1)[:, 0])
    writer.save(path, writer.l2_normalise(x))


@pytest.mark.parametrize("name", ["x86-64-v2", "x86-64-v3", "x86-64-v4", "cortex-a72"])
@pytest.mark.parametrize(("size_px", "channels"), [(13, 7), (20, 38)])
def test_odd_sizes_compute_what_onnx_runtime_computes(
    name, size_px, channels, tmp_path, cache_dir, rng, runner_of
):
    target = find_target(name)
    run = runner_of(target)
    path = tmp_path / "odd.onnx"
    write_odd_network(path, rng, size_px=size_px, channels=channels)
    assert plan_network(load_graph(path)).num_imported == 0

    compiled = compile_network(path, target, cache_dir=cache_dir)
    assert_answers_as_onnx_runtime(path, compiled, partial(run, compiled))


def test_code_for_another_architecture_is_generated(tiny_network, tmp_path):
    from cmpc_cost_models.compiling.executable import build_network
    from cmpc_cost_models.compiling.options import BuildOptions

    options = BuildOptions(target=find_target("cortex-a72"), objects_dir=tmp_path)
    build_network(load_graph(tiny_network), options)

    machines = {path.read_bytes()[ELF_MACHINE] for path in tmp_path.rglob("*.o")}
    assert machines == {AARCH64}


def objects_in(folder):
    return {path: path.stat().st_mtime_ns for path in (folder / "kernels").rglob("*.o")}


def test_a_kernel_that_an_earlier_network_had_is_not_compiled_again(write_tiny, host, tmp_path):
    compile_network(write_tiny(0), host, cache_dir=tmp_path)
    before = objects_in(tmp_path)
    again = compile_network(write_tiny(1), host, cache_dir=tmp_path)  # other weights

    assert not again.from_cache
    assert objects_in(tmp_path) == before
    assert_answers_as_onnx_runtime(write_tiny(1), again)


def test_an_altered_kernel_is_compiled_again(write_tiny, host, tmp_path):
    compile_network(write_tiny(0), host, cache_dir=tmp_path)
    for path in objects_in(tmp_path):
        path.write_bytes(b"no object file")
    again = compile_network(write_tiny(1), host, cache_dir=tmp_path)

    assert_answers_as_onnx_runtime(write_tiny(1), again)


def save_graph(path, nodes, result_shape, *, weights=()):
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, result_shape)
    graph = helper.make_graph(nodes, "given", [image], [result], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)


def test_a_graph_with_other_operators_compiles_through_the_importer(tmp_path, host, cache_dir):
    path = tmp_path / "sine.onnx"
    nodes = [
        helper.make_node("Sin", ["image"], ["a"]),
        helper.make_node("ReduceMean", ["a"], ["result"], axes=[2, 3], keepdims=0),
    ]
    save_graph(path, nodes, [1, 3])
    assert plan_network(load_graph(path)).num_imported > 0

    assert_answers_as_onnx_runtime(path, compile_network(path, host, cache_dir=cache_dir))


def test_a_broadcast_that_moves_channels_to_another_axis_is_that_of_onnx(tmp_path, host, cache_dir):
    path = tmp_path / "broadcast.onnx"
    weight = helper.make_tensor("weight", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["a"]),
        helper.make_node("Add", ["a", "weight"], ["b"]),  # [1, 3, 1, 1] + [3] = [1, 3, 1, 3]
        helper.make_node("ReduceMean", ["b"], ["result"], axes=[2, 3], keepdims=0),
    ]
    save_graph(path, nodes, [1, 3], weights=[weight])

    assert_answers_as_onnx_runtime(path, compile_network(path, host, cache_dir=cache_dir))


@pytest.mark.parametrize("batch", ["N", None], ids=["named", "without-a-name"])
def test_a_network_of_any_batch_is_counted_and_compiled_for_one_image(
    batch, write_tiny, tmp_path, host, cache_dir
):
    one = onnx.load(write_tiny(3))
    anything = onnx.ModelProto()
    anything.CopyFrom(one)
    for value in (*anything.graph.input, *anything.graph.output):
        size = value.type.tensor_type.shape.dim[0]
        size.Clear()
        if batch is not None:
            size.dim_param = batch
    del anything.graph.value_info[:]
    onnx.save(anything, tmp_path / "any.onnx")

    assert count_network(tmp_path / "any.onnx") == count_network(write_tiny(3))
    compiled = compile_network(tmp_path / "any.onnx", host, cache_dir=cache_dir)
    assert (compiled.input_shape, compiled.output_shape) == ((1, 3, 16, 16), (1, 12))
    assert_answers_as_onnx_runtime(tmp_path / "any.onnx", compiled)


def test_a_second_compilation_is_the_first_one(tiny_network, host, tmp_path):
    first = compile_network(tiny_network, host, cache_dir=tmp_path)
    second = compile_network(tiny_network, host, cache_dir=tmp_path)

    assert (first.from_cache, second.from_cache) == (False, True)
    assert second.sha256 == first.sha256
    assert list((tmp_path / "compiled").iterdir()) == [first.path.parent]  # and no drafts


def test_who_publishes_second_names_the_library_of_who_was_first(
    tiny_network, host, tmp_path, monkeypatch
):
    folder = compile_network(tiny_network, host, cache_dir=tmp_path).path.parent
    theirs = tmp_path / "theirs"
    shutil.move(folder, theirs)
    with (theirs / LIBRARY_NAME).open("ab") as library:
        library.write(b"\0")  # another process need not get the same bytes
    record = json.loads((theirs / "compiled.json").read_text())
    record["sha256"] = file_hash(theirs / LIBRARY_NAME)
    (theirs / "compiled.json").write_text(json.dumps(record))
    compile_here = compiling._compile

    def compile_slowly(*arguments):
        made = compile_here(*arguments)
        shutil.move(theirs, folder)  # meanwhile the other process published
        return made

    monkeypatch.setattr(compiling, "_compile", compile_slowly)

    compiled = compile_network(tiny_network, host, cache_dir=tmp_path)

    assert compiled.sha256 == file_hash(compiled.path) == record["sha256"]
    assert compiled.from_cache
    assert list((tmp_path / "compiled").iterdir()) == [folder]


def test_a_disk_that_refuses_a_library_is_told_as_that(tiny_network, host, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.rename", refuse)

    with pytest.raises(OSError, match="No space left"):
        compile_network(tiny_network, host, cache_dir=tmp_path)


def test_a_library_is_found_by_its_hash_beside_damaged_ones(tiny_network, host, tmp_path):
    compiled = compile_network(tiny_network, host, cache_dir=tmp_path)
    entry = compiled.path.parent
    for name in ("0-altered", "1-no-record"):
        shutil.copytree(entry, entry.parent / name)
    (entry.parent / "0-altered" / LIBRARY_NAME).write_bytes(b"altered")
    (entry.parent / "1-no-record" / "compiled.json").write_text("[]")

    found = find_compiled(entry.parent, compiled.sha256, host)

    assert found is not None
    assert found.path == compiled.path
    assert find_compiled(entry.parent, "0" * 64, host) is None
    assert find_compiled(entry.parent, compiled.sha256, find_target("cortex-a72")) is None


TRIM = """
import sys
from pathlib import Path
from cmpc_base.cache import Cache
from cmpc_base.trimming import trim

print(len(trim(Cache(Path(sys.argv[1])), to_bytes=0).removed))
"""


def test_a_cache_that_is_emptied_while_a_network_is_compiled_loses_nothing_of_it(
    write_tiny, host, tmp_path, monkeypatch
):
    compile_network(write_tiny(0), host, cache_dir=tmp_path)
    build_here = executable.build_network

    def build_beside_a_trimming(*arguments, **options):
        built = build_here(*arguments, **options)  # kernels are found; they are linked below
        words = [sys.executable, "-c", TRIM, str(tmp_path)]
        assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "0\n"
        return built

    monkeypatch.setattr(executable, "build_network", build_beside_a_trimming)

    compiled = compile_network(write_tiny(1), host, cache_dir=tmp_path)

    assert_answers_as_onnx_runtime(write_tiny(1), compiled)


def test_what_is_kept_of_the_cache_outlives_its_trimming(tiny_network, host, tmp_path):
    cache = Cache(tmp_path / "cache")
    compiled = compile_network(tiny_network, host, cache_dir=cache.path)
    (compiled.path.parent / "timings.json").write_text("[]")

    for _ in range(2):  # a second time changes nothing
        keep_compiled(compiled, tmp_path / "kept")
    trim(cache, to_bytes=0)

    kept = find_compiled(tmp_path / "kept", compiled.sha256, host)
    assert not compiled.path.exists()
    assert file_hash(kept.path) == compiled.sha256
    assert {path.name for path in kept.path.parent.iterdir()} == {LIBRARY_NAME, "compiled.json"}
    assert not compile_network(tiny_network, host, cache_dir=cache.path).from_cache


@pytest.mark.parametrize("name", [LIBRARY_NAME, "compiled.json"])
def test_an_altered_cache_entry_is_compiled_again(name, tiny_network, host, tmp_path):
    first = compile_network(tiny_network, host, cache_dir=tmp_path)
    with (first.path.parent / name).open("ab") as file:
        file.write(b"x")

    again = compile_network(tiny_network, host, cache_dir=tmp_path)

    assert not again.from_cache
    assert_answers_as_onnx_runtime(tiny_network, again)
    record = json.loads((again.path.parent / "compiled.json").read_text())
    assert record["sha256"] == again.sha256


def test_what_is_not_supported_is_refused_in_words(tmp_path, host):
    path = tmp_path / "strange.onnx"
    save_graph(path, [helper.make_node("Det", ["image"], ["result"])], [1, 3])

    with pytest.raises(CompileFailed, match="operator Det"):
        compile_network(path, host, cache_dir=tmp_path)
    with pytest.raises(BadNetworkFile, match="can't be read"):
        compile_network(tmp_path / "nowhere.onnx", host, cache_dir=tmp_path)


COMPILE = """
import sys
from pathlib import Path
from cmpc_cost_models.compiling import network
from cmpc_cost_models.targets.table import find_target

compile_here = network._compile

def in_step(*arguments):
    made = compile_here(*arguments)
    with (arguments[2] / network.LIBRARY_NAME).open("ab") as library:
        library.write(sys.argv[3].encode())  # no two processes get the same bytes
    print("compiled", flush=True)
    sys.stdin.readline()
    return made

network._compile = in_step
path, cache_dir = Path(sys.argv[1]), Path(sys.argv[2])
found = network.compile_network(path, find_target("host"), cache_dir=cache_dir)
print(found.sha256, network.file_hash(found.path), found.from_cache)
"""


@pytest.mark.slow  # two processes that load TVM
def test_of_two_processes_that_compile_one_network_both_name_the_library_that_stays(
    tiny_network, host, tmp_path
):
    words = [sys.executable, "-c", COMPILE, str(tiny_network), str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([*words, name], **pipes) for name in ("a", "b")]
    assert [one.stdout.readline() for one in both] == ["compiled\n"] * 2

    told = [one.communicate("go\n")[0].split() for one in both]

    [stays] = tmp_path.glob(f"compiled/*/{LIBRARY_NAME}")
    assert [one[:2] for one in told] == [[file_hash(stays)] * 2] * 2
    assert [one[2] for one in told] == ["False", "True"]
