import json
import os
import subprocess
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from cmpc_cost_models.bundles.manifest import BundleContents
from cmpc_cost_models.bundles.opening import open_bundle
from cmpc_cost_models.bundles.preprocessing import Preprocessing
from cmpc_cost_models.bundles.writing import write_bundle
from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.errors import BadArgument, BadBundle
from cmpc_cost_models.records import Cost
from cmpc_cost_models.targets.table import find_target

PREPROCESSING = Preprocessing(size_px=16, resize_filter="bicubic")


@pytest.fixture(scope="module")
def contents(host, cache_dir, tiny_network):
    compiled = compile_network(tiny_network, host, cache_dir=cache_dir)
    cost = Cost(
        name="latency", value=0.1, unit="ms", source="measured", artefact_sha256=compiled.sha256
    )
    return BundleContents(
        compiled=compiled,
        target=host,
        preprocessing=PREPROCESSING,
        cost=cost,
        provenance={"architecture": "tiny"},
    )


@pytest.fixture
def bundle(contents, tmp_path):
    return write_bundle(tmp_path / "bundle", contents, with_runner=False)


def test_a_bundle_embeds_as_onnx_runtime_does_with_and_without_python(
    contents, tiny_network, tmp_path, rng
):
    write_bundle(tmp_path / "bundle", contents, with_runner=True)
    moved = (tmp_path / "bundle").rename(tmp_path / "elsewhere")  # it must not know its place
    bundle = open_bundle(moved)
    images = rng.integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)

    embeddings = bundle.embed(images)

    session = onnxruntime.InferenceSession(tiny_network, providers=["CPUExecutionProvider"])
    floats = images.transpose(0, 3, 1, 2).astype(np.float32) / 255
    expected = [session.run(None, {"image": one[None]})[0][0] for one in floats]
    np.testing.assert_allclose(embeddings, expected, atol=1e-5)

    bundle.preprocessing.as_input(images[1]).tofile(tmp_path / "image.f32")
    command = [bundle.runner, tmp_path / "image.f32", tmp_path / "embedding.f32", "3"]
    # An empty environment, another folder: only what lies in the bundle may help.
    done = subprocess.run(command, cwd="/", env={}, capture_output=True, text=True, check=True)
    assert done.stdout.endswith(" ms\n")
    np.testing.assert_array_equal(
        np.fromfile(tmp_path / "embedding.f32", np.float32), embeddings[1]
    )


def test_a_library_that_is_no_longer_the_one_that_was_compiled_does_not_ship(contents, tmp_path):
    other = tmp_path / "network.so"
    other.write_bytes(contents.compiled.path.read_bytes() + b"\0")
    changed = replace(contents, compiled=replace(contents.compiled, path=other))

    with pytest.raises(BadArgument, match="must be the library that was compiled"):
        write_bundle(tmp_path / "bundle", changed, with_runner=False)
    assert not (tmp_path / "bundle").exists()


def test_a_bundle_tells_what_it_was_written_with(bundle, contents):
    read = open_bundle(bundle.folder)

    assert read.preprocessing == PREPROCESSING
    assert read.cost == contents.cost
    assert read.embedding_dim == 12
    assert read.manifest["provenance"] == {"architecture": "tiny"}
    assert read.manifest["files"]["network.so"]["sha256"] == contents.compiled.sha256


def test_a_network_that_reads_blue_first_gets_blue_first(contents, bundle, tmp_path, rng):
    preprocessing = replace(PREPROCESSING, colour_order="BGR", version=7)
    reversed_contents = replace(contents, preprocessing=preprocessing)
    other = write_bundle(tmp_path / "bgr", reversed_contents, with_runner=False)
    images = rng.integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)

    np.testing.assert_array_equal(other.embed(images), bundle.embed(images[..., ::-1]))
    assert not np.array_equal(other.embed(images), bundle.embed(images))
    assert open_bundle(other.folder).preprocessing.version == 7


@pytest.mark.parametrize(("field", "value"), [("colour_order", "YUV"), ("layout", "NHWC")])
def test_a_preprocessing_that_nobody_does_is_refused(bundle, contents, field, value):
    path = bundle.folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["preprocessing"][field] = value
    path.write_text(json.dumps(manifest))

    with pytest.raises(BadBundle, match=value):
        open_bundle(bundle.folder)
    with pytest.raises(BadArgument, match=value):
        replace(contents, preprocessing=replace(PREPROCESSING, **{field: value}))


@pytest.mark.parametrize("name", ["network.so", "lib/libtvm_ffi.so"])
def test_an_altered_file_is_refused(bundle, name):
    path = bundle.folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(BadBundle, match=f"{name} was altered"):
        open_bundle(bundle.folder)


def test_a_missing_file_is_refused(bundle):
    os.unlink(bundle.folder / "lib" / "libtvm_runtime.so")

    with pytest.raises(BadBundle, match="missing"):
        open_bundle(bundle.folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m.update(schema_version=99), "schema_version"),
        (lambda m: m["files"].update({"../../etc/passwd": m["files"]["network.so"]}), "outside"),
        (lambda m: m["target"].update(required_flags=["warp_drive"]), "lacks warp_drive"),
        (lambda m: m["versions"].update({"apache-tvm": "0.1"}), "apache-tvm 0.1"),
        (lambda m: m.pop("files"), "lacks 'files'"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(bundle, change, reason):
    path = bundle.folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))

    with pytest.raises(BadBundle, match=reason):
        open_bundle(bundle.folder)


def test_a_cost_of_another_library_is_not_shipped(contents):
    with pytest.raises(BadArgument, match="must be that of its network"):
        replace(contents, cost=replace(contents.cost, artefact_sha256="another"))


def test_a_bundle_replaces_nothing_and_leaves_no_draft(bundle, contents):
    with pytest.raises(BadArgument, match="a new or empty folder"):
        write_bundle(bundle.folder, contents, with_runner=False)
    foreign = "cortex-a72" if contents.target.architecture == "x86_64" else "x86-64-v3"
    other = replace(contents, target=find_target(foreign))
    with pytest.raises(BadArgument, match="apache-tvm"):
        write_bundle(bundle.folder.parent / "other", other, with_runner=False)

    assert [path.name for path in bundle.folder.parent.iterdir()] == ["bundle"]


def test_images_of_another_size_are_refused(bundle):
    with pytest.raises(BadArgument, match="uint8"):
        bundle.embed(np.zeros((1, 17, 17, 3), np.uint8))
