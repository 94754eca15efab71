"""What is measured is what ships, and what ships computes what was trained: with the real TVM."""

import hashlib
import json

import numpy as np
import pytest

from cmpc_search.data import load_image
from cmpc_search.runs import reopen_run
from cmpc_search.stages.run_material import load_run_material
from cmpc_search.stages.trained_picks import trained_picks
from cmpc_search.training.embedding import embed_images

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(project):
    return project.folder / "measured"


@pytest.fixture(scope="module")
def answers(project, run):
    """Search two candidates by latency, train one, judge it, build it, index the gallery."""
    gallery = ["--gallery", project.gallery, "--threads", 1]
    training = ["--pick", "fastest", "--num-steps", 6, "--control-steps", 0]
    lines = {
        "search": project.search(run, trials=2, cost="latency"),
        "train": ["train", run, *gallery, *training],
        "evaluate": ["evaluate", run, *gallery],
        "trim": ["cache", "trim", "--to", 0],  # what was measured must ship all the same
        "build": ["build", run, "--out", run / "bundle"],
        "index": ["index", project.gallery, "--data", project.pictures, "--out", run / "index"],
    }
    return {name: project.answer(*words) for name, words in lines.items()}


@pytest.fixture(scope="module")
def image_set(project, run):
    cache_dir = project.folder / "cache"
    return load_run_material(reopen_run(run), project.gallery, cache_dir=cache_dir).image_set


def test_every_candidate_was_measured(answers):
    scores = [one["score"] for one in answers["search"]["front"]]

    assert answers["search"]["counts"]["failed"] == 0
    assert all(score["latency"]["source"] == "measured" for score in scores)
    assert all(score["latency"]["value"] > 0 for score in scores)


def test_the_network_in_the_bundle_is_the_one_that_was_measured_to_the_byte(answers, run):
    evaluation = json.loads((run / "evaluation.json").read_text())
    measured = evaluation["query_cost"]["latency"]

    shipped = (run / "bundle" / "network.so").read_bytes()

    assert hashlib.sha256(shipped).hexdigest() == measured["artefact_sha256"]
    assert answers["build"]["latency_ms"] == measured["value"]
    assert evaluation["gallery_cost"]["latency"]["value"] > 0


def test_the_bundle_computes_what_torch_computes_on_every_test_image(
    answers, project, run, image_set
):
    names = [image_set.item_names[position] for position in image_set.select(split="test")]
    images = [project.pictures / name for name in names]
    shown = project.answer("run", run / "bundle", *images)["embeddings"]
    material = load_run_material(
        reopen_run(run), project.gallery, cache_dir=project.folder / "cache"
    )
    key = answers["train"]["architecture"]
    (pick,) = trained_picks(reopen_run(run), material.space.read(key))
    network = pick.load(material)
    size_px = network.plan.input_size_px
    pixels = np.stack([load_image(image, size_px) for image in images])

    expected = embed_images(network, pixels)

    rows = np.array([row["embedding"] for row in shown])
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(expected, axis=1)
    cosines = (rows * expected).sum(axis=1) / lengths
    assert len(cosines) == len(names) > 0
    assert cosines.min() >= 0.9999


def test_a_query_finds_items_of_the_gallery_side(answers, project, run, image_set):
    gallery = {image_set.item_names[position] for position in image_set.select(role="gallery")}
    query = image_set.item_names[image_set.select(split="test", role="query")[0]]

    found = project.answer(
        "query", run / "index", project.pictures / query, "--bundle", run / "bundle", "-k", 5
    )

    neighbours = [one["item"] for one in found["answers"][0]["neighbours"]]
    assert len(neighbours) == 5
    assert set(neighbours) <= gallery


def test_a_bundle_that_is_there_already_is_left_as_it_is(answers, project, run):
    manifest = run / "bundle" / "manifest.json"
    before = manifest.stat().st_mtime_ns

    again = project.answer("build", run, "--out", run / "bundle")

    assert again == answers["build"]
    assert manifest.stat().st_mtime_ns == before
