"""The whole job for a board that is not here: from pictures to an aarch64 bundle, under qemu."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.targets.toolchain import find_toolchain
from cmpc_search.data import load_image
from cmpc_search.runs import reopen_run
from cmpc_search.stages.run_material import load_run_material
from cmpc_search.stages.trained_picks import trained_picks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _runtime(project):
    """Lend the project what `cmpc targets fetch arm` left in the user's cache."""
    cache = Path(os.environ.get("CMPC_CACHE", Path.home() / ".cache" / "cmpc"))
    toolchain = find_toolchain(find_target("arm"), cache_dir=cache)
    if not toolchain.can_execute:
        pytest.skip("; ".join(toolchain.lacking))
    lent = project.folder / "cache" / "runtimes"
    if toolchain.runtime is not None and not lent.exists():
        lent.symlink_to(toolchain.runtime.parent)


@pytest.fixture(scope="module")
def run(project):
    return project.folder / "arm-run"


@pytest.fixture(scope="module")
def answers(project, run):
    gallery = ["--gallery", project.gallery, "--threads", 1]
    lines = {
        "search": project.search(run, trials=5, target="arm", cost="latency"),
        "pareto": ["pareto", run, "--picture", run / "front.png"],
        "train": ["train", run, *gallery, "--num-steps", 6, "--control-steps", 0],
        "evaluate": ["evaluate", run, *gallery],
        "build": ["build", run, "--out", run / "bundle"],
    }
    return {name: project.answer(*words) for name, words in lines.items()}


def test_every_latency_of_a_target_without_a_device_is_predicted(answers):
    latencies = [one["score"]["latency"] for one in answers["search"]["front"]]

    assert answers["search"]["counts"]["failed"] == 0
    assert latencies
    latencies += [answers["evaluate"][f"{side}_cost"]["latency"] for side in ("query", "gallery")]
    assert {one["source"] for one in latencies} == {"predicted"}
    assert {one["machine"]["emulator"] for one in latencies} == {"qemu-aarch64-static"}
    assert answers["build"]["latency_source"] == "predicted"


def test_the_bundle_was_run_before_it_was_there(answers, run):
    manifest = json.loads((run / "bundle" / "manifest.json").read_text())

    assert answers["build"]["verified_by"] == "qemu-aarch64-static"
    assert manifest["verification"]["cosine"] >= 0.9999
    assert manifest["cost"]["source"] == "predicted"
    for name in ("run", "network.so", "lib/libtvm_runtime.so", "lib/libtvm_ffi.so"):
        content = (run / "bundle" / name).read_bytes()
        assert int.from_bytes(content[18:20], "little") == 183  # e_machine: EM_AARCH64


def test_the_bundle_runs_here_only_if_asked_and_then_rightly(answers, project, run):
    image = next(project.pictures.rglob("*.png"))

    refused = project.invoke("run", run / "bundle", image)
    shown = project.answer("run", run / "bundle", image, "--emulate")

    assert refused.exit_code == 1
    assert "--emulate" in refused.stderr
    material = load_run_material(
        reopen_run(run), project.gallery, cache_dir=project.folder / "cache"
    )
    picked = material.space.read(answers["train"]["architecture"])
    (pick,) = trained_picks(reopen_run(run), picked)
    network = pick.load(material)
    expected = expected_row(network, load_image(image, network.plan.input_size_px))
    row = np.array(shown["embeddings"][0]["embedding"])
    assert row @ expected / np.linalg.norm(row) / np.linalg.norm(expected) >= 0.9999


def expected_row(network, pixels):
    from cmpc_search.training.embedding import embed_images

    return embed_images(network, pixels[None])[0]
