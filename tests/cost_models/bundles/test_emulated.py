"""Networks for a processor that is not here: what is missing is named, what is there is used."""

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from cmpc_base.hashing import file_hash
from cmpc_cost_models.bundles.manifest import BundleContents
from cmpc_cost_models.bundles.opening import open_bundle
from cmpc_cost_models.bundles.preprocessing import Preprocessing
from cmpc_cost_models.bundles.verification import embed_emulated, verifier
from cmpc_cost_models.bundles.writing import write_bundle
from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.compiling.options import CompileOrder
from cmpc_cost_models.errors import BadArgument, BadBundle, PackageNotFetched, ProgramFailed
from cmpc_cost_models.models.base import CostModel
from cmpc_cost_models.models.catalogue import make_meter
from cmpc_cost_models.models.checked import CheckedModel
from cmpc_cost_models.models.roofline import CALL_CYCLES, RooflineModel, kernels_of
from cmpc_cost_models.records import Measurement
from cmpc_cost_models.sites.agreement import agreement
from cmpc_cost_models.sites.emulated import EmulatedSite
from cmpc_cost_models.targets import runtimes
from cmpc_cost_models.targets.device import NOWHERE
from cmpc_cost_models.targets.runtimes import fetch_runtime, find_runtime
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.targets.toolchain import find_toolchain

FOREIGN = "cortex-a72" if os.uname().machine == "x86_64" else "x86-64-v3"


@pytest.fixture(scope="module")
def arm(runtime_dir):
    """The tools for ARM boards, where they are."""
    toolchain = find_toolchain(find_target("arm"), cache_dir=runtime_dir)
    if not toolchain.can_execute:
        pytest.skip("; ".join(toolchain.lacking))
    return toolchain


def test_without_any_tool_each_is_named_with_its_remedy(tmp_path):
    target = replace(find_target("arm"), triple=f"alien-{find_target('arm').triple}")
    nothing: Callable[[str], None] = lambda _: None  # noqa: E731

    found = find_toolchain(target, cache_dir=tmp_path, find_program=nothing)

    assert not found.can_execute
    assert len(found.lacking) == 3
    with pytest.raises(BadArgument, match="apt-get install g\\+\\+-alien"):
        found.require_compiler()


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="looks from x86-64 at ARM")
def test_the_remedies_are_packages_of_debian_and_a_command(tmp_path):
    found = find_toolchain(find_target("arm"), cache_dir=tmp_path, find_program=lambda _: None)

    remedies = " ".join(found.lacking)
    assert "apt-get install g++-aarch64-linux-gnu" in remedies
    assert "apt-get install qemu-user-static" in remedies
    assert "cmpc targets fetch cortex-a72" in remedies


def predicting(target: Target, cache_dir: Path) -> CostModel:
    return make_meter(CompileOrder(target=target, cache_dir=cache_dir), NOWHERE)


def made_up_runtime(folder: Path, target: Target) -> None:
    """Lay down what fetching leaves, with other content."""
    folder = runtimes._folder(target, runtimes.wheels_for(target), folder)
    folder.mkdir(parents=True)
    names = [Path(member).name for member in runtimes.MEMBERS.values()]
    for name in names:
        (folder / name).write_bytes(name.encode())
    files = {name: file_hash(folder / name) for name in names}
    (folder / "runtime.json").write_text(json.dumps({"files": files}))


def test_a_fetched_runtime_is_found_until_it_is_altered(tmp_path):
    target = find_target("arm")
    assert find_runtime(target, cache_dir=tmp_path) is None

    made_up_runtime(tmp_path, target)
    folder = find_runtime(target, cache_dir=tmp_path)
    assert folder is not None

    (folder / "libtvm_ffi.so").write_bytes(b"something else")
    assert find_runtime(target, cache_dir=tmp_path) is None


def test_another_file_than_the_known_one_is_not_taken(tmp_path, monkeypatch):
    offered = tmp_path / "offered"
    offered.mkdir()
    for package in runtimes.MEMBERS:
        version = runtimes.wheels_for(find_target("arm"))[package]["version"]
        name = f"{package.replace('-', '_')}-{version}"
        with zipfile.ZipFile(offered / f"{name}-py3-none-any.whl", "w") as wheel:
            metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
            wheel.writestr(f"{name}.dist-info/METADATA", metadata)
            wheel.writestr(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(offered))

    with pytest.raises(PackageNotFetched, match=r"(?i)hash"):
        fetch_runtime(find_target("arm"), cache_dir=tmp_path / "cache")

    assert list((tmp_path / "cache" / "runtimes").iterdir()) == []


def test_a_processor_without_a_published_runtime_is_told_apart(tmp_path):
    with pytest.raises(BadArgument, match="no published TVM runtime for riscv64"):
        fetch_runtime(find_target("riscv64"), cache_dir=tmp_path)


def test_a_prediction_is_the_roofline_and_says_what_it_is(host, cache_dir, tiny_network, tmp_path):
    with predicting(host, cache_dir) as meter:
        found = meter.measure(tiny_network)
        broken = meter.measure(tmp_path / "nowhere.onnx")
        note = meter.note
    # As on a machine where programs for the target can't run:
    lacking = replace(
        find_toolchain(host, cache_dir=tmp_path), emulator=None, lacking=("no emulator",)
    )
    order = CompileOrder(target=host, cache_dir=cache_dir)
    with CheckedModel(RooflineModel(host), order, lacking) as meter:
        unchecked = meter.measure(tiny_network)
        warning = meter.note

    kernels = kernels_of(tiny_network)
    assert found.error is None
    assert found.cost.source == "predicted"
    # The slower of arithmetic and traffic, kernel after kernel, and some clocks for each call.
    flops_per_ms, bytes_per_ms = host.peak_gflops * 1e6, host.memory_gb_per_s * 1e6
    works_ms = [max(one.flops / flops_per_ms, one.num_bytes / bytes_per_ms) for one in kernels]
    calls_ms = len(kernels) * CALL_CYCLES / (host.clock_ghz * 1e6)
    assert found.cost.value == pytest.approx(sum(works_ms) + calls_ms)
    assert found.cost.evidence.num_kernels == len(kernels)
    assert "Each candidate is run once" in note
    assert found.cost.evidence.executed
    assert "NOT executed, so none is checked: no emulator" in warning
    assert not unchecked.cost.evidence.executed
    assert found.cost.artefact_sha256 == found.compiled.sha256
    assert "can't be read" in broken.error


def test_a_network_that_has_no_prediction_is_neither_a_number_nor_a_failure(
    host, cache_dir, tmp_path
):
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3, 8, 8]) for n in "xy"]
    node = helper.make_node("Softsign", ["x"], ["y"], name="squash")
    graph = helper.make_graph([node], "net", ends[:1], ends[1:])
    path = tmp_path / "softsign.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path
    )

    with predicting(host, cache_dir) as meter:
        found = meter.measure(path)

    assert found.cost is found.error is None
    assert not found.is_stable
    assert "Softsign 'squash'" in found.unknown_reasons[0]
    assert found.compiled is not None
    assert Measurement.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.slow
def test_a_network_with_a_wrong_answer_gets_no_prediction(
    host, tmp_path_factory, write_tiny, tmp_path
):
    cache_dir = tmp_path_factory.mktemp("poisoned")
    right = compile_network(write_tiny(0), host, cache_dir=cache_dir)
    wrong = compile_network(write_tiny(1), host, cache_dir=cache_dir)
    record = json.loads((wrong.path.parent / "compiled.json").read_text())
    wrong.path.write_bytes(right.path.read_bytes())
    record["sha256"] = file_hash(wrong.path)
    (wrong.path.parent / "compiled.json").write_text(json.dumps(record))

    with predicting(host, cache_dir) as meter:
        found = meter.measure(write_tiny(1))

    assert "wrong answer" in found.error
    assert found.cost is None


@pytest.fixture(scope="module")
def arm_network(arm, cache_dir, tiny_network):
    return compile_network(tiny_network, arm.target, cache_dir=cache_dir)


@pytest.mark.slow
def test_an_arm_network_answers_under_qemu_as_onnx_runtime_does(arm, arm_network, tiny_network):
    rng = np.random.default_rng(7)
    session = onnxruntime.InferenceSession(tiny_network, providers=["CPUExecutionProvider"])
    with EmulatedSite(arm) as site:
        network = site.load(arm_network.path, arm_network.input_shape)
        for _ in range(3):
            image = rng.random(arm_network.input_shape, dtype=np.float32)
            [expected] = session.run(None, {"image": image})

            found = agreement(network.run(image), expected)

            assert found.cosine >= 0.9999
            assert found.objection is None


@pytest.mark.slow
def test_an_arm_bundle_is_verified_before_it_is_there_and_embeds_under_qemu(
    arm, arm_network, tiny_network, tmp_path, rng
):
    contents = BundleContents(
        compiled=arm_network,
        target=arm.target,
        preprocessing=Preprocessing(size_px=16, resize_filter="bicubic"),
    )
    verify = verifier(tiny_network, arm_network, arm)
    folder = tmp_path / "bundle"
    write_bundle(folder, contents, with_runner=True, runtime_folder=arm.runtime, verify=verify)

    with pytest.raises(BadBundle, match="cmpc run --emulate"):
        open_bundle(folder)
    bundle = open_bundle(folder, must_run_here=False)
    assert bundle.manifest["verification"]["cosine"] >= 0.9999
    images = rng.integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(tiny_network, providers=["CPUExecutionProvider"])
    floats = images.transpose(0, 3, 1, 2).astype(np.float32) / 255
    expected = [session.run(None, {"image": one[None]})[0][0] for one in floats]
    np.testing.assert_allclose(embed_emulated(bundle, images, arm), expected, atol=1e-5)


@pytest.mark.slow
def test_a_bundle_with_a_wrong_answer_is_not_published(
    arm, arm_network, write_tiny, cache_dir, tmp_path
):
    contents = BundleContents(
        compiled=arm_network,
        target=arm.target,
        preprocessing=Preprocessing(size_px=16, resize_filter="bicubic"),
    )
    verify = verifier(write_tiny(1), arm_network, arm)

    with pytest.raises(BadBundle, match="wrong answer"):
        write_bundle(
            tmp_path / "bundle",
            contents,
            with_runner=True,
            runtime_folder=arm.runtime,
            verify=verify,
        )

    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_damaged_network_is_a_failure_with_the_programs_last_words(arm, arm_network, tmp_path):
    damaged = tmp_path / "network.so"
    damaged.write_bytes(arm_network.path.read_bytes()[:1000])
    image = np.zeros(arm_network.input_shape, np.float32)

    with EmulatedSite(arm) as site, pytest.raises(ProgramFailed, match="ended with"):
        site.load(damaged, arm_network.input_shape).run(image)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["cortex-a53", "cortex-a72", "cortex-a76", "neoverse-n1", "armv7-a", "riscv64", "x86-64-v3"],
)
def test_a_network_compiles_for_every_target_that_has_a_compiler_here(
    name, cache_dir, tiny_network, runtime_dir
):
    target = find_target(name)
    toolchain = find_toolchain(target, cache_dir=runtime_dir)
    if toolchain.compiler is None:
        pytest.skip(toolchain.lacking[0])

    compiled = compile_network(tiny_network, target, cache_dir=cache_dir)

    machines = {"x86_64": 62, "aarch64": 183, "arm": 40, "riscv64": 243}  # e_machine of ELF
    content = compiled.path.read_bytes()
    assert int.from_bytes(content[18:20], "little") == machines[target.architecture]
