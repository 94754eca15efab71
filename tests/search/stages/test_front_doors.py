"""The whole job through the library alone: orders in, results out, nobody typing."""

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

import cmpc_search
from cmpc_cost_models import Cost, Measurement
from cmpc_cost_models.models.base import CostModel
from cmpc_search import (
    EvaluationOrder,
    GalleryEmbedOrder,
    GallerySettings,
    GalleryTrainOrder,
    PickOrder,
    SearchOrder,
    SearchSettings,
    TrainOrder,
    TrainSettings,
    run_evaluation,
    run_gallery_embedding,
    run_gallery_training,
    run_pick,
    run_search,
    run_training,
)
from cmpc_search.errors import BadArgument, BadRun
from cmpc_search.pixels import to_float
from cmpc_search.stages.run_material import load_run_material
from cmpc_search.testing.spaces import onnx_embedding

TRIALS = 3


class Heard:
    """An observer that keeps what it is told."""

    def __init__(self):
        self.notices, self.parts = [], {}

    @contextmanager
    def progress(self, description):
        yield lambda num_done, total, note="": self.parts.update({description: (num_done, total)})

    def notice(self, message):
        self.notices.append(message)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("job")


@pytest.fixture(scope="module")
def gallery(folder, pictures, cache_dir):
    settings = GallerySettings(
        data=str(pictures),
        width=4,
        depths="1,1",
        training={"num_steps": 4, "classes_per_batch": 4},
    )
    order = GalleryTrainOrder(folder=folder / "gallery", settings=settings, cache_dir=cache_dir)
    gallery = run_gallery_training(order)
    run_gallery_embedding(GalleryEmbedOrder(folder=gallery.path, cache_dir=cache_dir))
    return gallery


@pytest.fixture(scope="module")
def search_order(folder, gallery, cache_dir):
    settings = SearchSettings(
        cost="macs",
        trials=TRIALS,
        population=2,
        views_per_image=2,
        finalists=2,
        finalist={"num_steps": 2, "batch_size": 8},
        supernet={"num_steps": 4, "batch_size": 8},
    )
    return SearchOrder(
        run_folder=folder / "run",
        gallery_folder=gallery.path,
        settings=settings,
        cache_dir=cache_dir,
    )


@pytest.fixture(scope="module")
def heard():
    return Heard()


@pytest.fixture(scope="module")
def searched(search_order, heard):
    return run_search(search_order, observer=heard)


@pytest.fixture(scope="module")
def trained(searched, cache_dir):
    run_pick(PickOrder(run_folder=searched.run.path, how="fastest"))
    settings = TrainSettings(pick={"num_steps": 3, "batch_size": 8}, control_steps=2)
    return run_training(
        TrainOrder(run_folder=searched.run.path, settings=settings, cache_dir=cache_dir)
    )


def test_a_search_gives_its_front_and_tells_how_far_it_is(searched, heard):
    assert searched.summary.counts.finished == TRIALS
    assert searched.best().number in {one.number for one in searched.front}
    assert heard.parts["Searching"] == (TRIALS, TRIALS)
    assert heard.parts["Finalist 2 of 2: training"] == (2, 2)
    assert heard.notices[0].startswith("searching on the data of the gallery: ")


def test_the_same_order_does_no_work_again(search_order, searched):
    again = Heard()

    assert run_search(search_order, observer=again).standing == searched.standing
    assert set(again.parts) <= {"Preparing " + str(searched.settings.data)}


class Moody(CostModel):
    """Times a network alone in 9 ms, and n networks together in 1 ms to n ms."""

    def estimate(self, onnx_path):
        return Cost(name="latency", value=9.0, unit="ms", source="measured")

    def measure_interleaved(self, onnx_paths):
        alone = self.estimate(onnx_paths[0])
        return [
            Measurement(cost=replace(alone, value=float(number)))
            for number, _ in enumerate(onnx_paths, start=1)
        ]


def test_a_search_by_measured_latency_ends_with_a_front_that_was_measured_together(
    search_order, folder
):
    settings = search_order.settings.model_copy(update={"cost": "latency"})
    order = replace(search_order, run_folder=folder / "timed", settings=settings)

    found = run_search(order, Moody())

    measured = sorted(one.score.latency_ms for one in found.standing.contenders)
    assert found.standing.is_measured_together
    assert measured == [float(number) for number in range(1, len(measured) + 1)]
    assert {one.score.latency_ms for one in found.summary.candidates} == {9.0}
    assert found.best() in found.standing.finalists


def test_what_was_picked_is_trained_with_its_control(trained, searched):
    cheapest = min(searched.standing.finalists, key=lambda one: one.score.macs)

    assert trained.architecture.key == cheapest.score.architecture
    assert [one.folder.name for one in trained.trained] == ["seed-0", "control"]


def test_the_graph_of_a_trained_network_computes_what_its_weights_do(trained, cache_dir):
    material = load_run_material(trained.run, cache_dir=cache_dir)
    for pick in trained.trained:
        network = pick.load(material)
        own_size = material.images_at(network.plan.input_size_px)
        images = to_float(torch.from_numpy(own_size.images[:1].copy()))
        with torch.inference_mode():
            expected = network(images).numpy()
        np.testing.assert_allclose(onnx_embedding(pick.onnx_path, images), expected, atol=2e-5)


def test_what_was_trained_is_judged_on_the_test_classes(trained, cache_dir):
    order = EvaluationOrder(run_folder=trained.run.path, cache_dir=cache_dir)

    found = run_evaluation(order)

    assert found.architecture == trained.architecture.key
    assert found.queries.num_queries > 0
    assert found.query_cost.latency is None
    assert trained.run.evaluation_path.is_file()


def test_every_front_door_is_there_by_name_and_the_package_starts_without_them():
    assert all(getattr(cmpc_search, name) for name in cmpc_search.__all__)
    with pytest.raises(AttributeError, match="no attribute 'run_away'"):
        _ = cmpc_search.run_away
    heavy = "{'torch', 'optuna', 'numpy', 'click'}"
    script = f"import sys, cmpc_search; print({heavy} & {{*sys.modules}})"
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert told.stdout == "set()\n"


def test_what_a_run_folder_and_an_import_are_made_of_is_given_by_name_too(tmp_path):
    with pytest.raises(BadRun, match="must be a run"):
        cmpc_search.reopen_run(tmp_path / "none")
    order = cmpc_search.GalleryImportOrder(
        folder=tmp_path / "g", sources=cmpc_search.GallerySources(), cache_dir=tmp_path
    )
    with pytest.raises(BadArgument):
        cmpc_search.run_gallery_import(order)


def test_who_asks_an_index_or_changes_one_does_not_wait_for_torch():
    stages = ("querying", "indexing", "index_changes", "picture_embedding")
    imports = "; ".join(f"import cmpc_search.stages.{stage}" for stage in stages)
    script = f"import sys; {imports}; print({{'torch', 'optuna', 'tvm'}} & {{*sys.modules}})"

    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert told.stdout == "set()\n"
