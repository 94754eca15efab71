"""The whole job by one order: its stages in turn, stopped and gone on with, nothing done twice."""

import json
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from cmpc_search.errors import BadRun
from cmpc_search.runs import reopen_run
from cmpc_search.stages import pipeline, pipeline_records
from cmpc_search.stages.pipeline import run_pipeline
from cmpc_search.stages.pipeline_records import PipelineOrder, PipelineResult
from cmpc_search.stages.pipeline_times import Stage, read_times
from cmpc_search.stages.settings import (
    GallerySettings,
    PipelineSettings,
    SearchSettings,
    TrainSettings,
)

EMBEDDINGS_FILE = "embeddings.safetensors"
COSTLY = {".safetensors", ".onnx", ".npz"}


class Heard:
    """An observer that keeps what it is told."""

    def __init__(self):
        self.notices, self.parts = [], []

    @contextmanager
    def progress(self, description):
        yield lambda num_done, total, note="": self.parts.append(description)

    def notice(self, message):
        self.notices.append(message)


class Stopped(KeyboardInterrupt):
    """Somebody pressed Ctrl-C here."""


def fails(order, observer):
    raise Stopped


def is_faked(order, observer):
    """Stand for what needs a compiler; `tests/cmpc/pipeline` has the true one."""


def make_order(folder, pictures, cache_dir):
    return PipelineOrder(
        run_folder=folder / "run",
        gallery_folder=folder / "gallery",
        bundle_folder=folder / "bundle",
        cache_dir=cache_dir,
        gallery=GallerySettings(
            data=str(pictures),
            width=4,
            depths="1,1",
            training={"num_steps": 3, "classes_per_batch": 4},
        ),
        search=SearchSettings(
            input_size_px=32,
            cost="macs",
            trials=3,
            population=2,
            views_per_image=2,
            finalists=1,
            finalist={"num_steps": 2, "batch_size": 8},
            supernet={"num_steps": 3, "batch_size": 8},
        ),
        train=TrainSettings(pick={"num_steps": 2, "batch_size": 8}, control_steps=2),
    )


@pytest.fixture
def order(tmp_path, pictures, cache_dir):
    return make_order(tmp_path, pictures, cache_dir)


@pytest.fixture(autouse=True, scope="module")
def nothing_is_compiled():
    with pytest.MonkeyPatch.context() as patch:
        for stage in (Stage.BUNDLE, Stage.QUERIES):
            patch.setitem(pipeline.WORK, stage, is_faked)
        yield


@dataclass(frozen=True)
class Job:
    """A job that was stopped before its training, and then gone on with to its end."""

    order: PipelineOrder
    stopped: Heard
    files_of_stopped: dict
    heard: Heard
    results: list
    found: PipelineResult


@pytest.fixture(scope="module")
def job(nothing_is_compiled, tmp_path_factory, pictures, cache_dir):
    order = make_order(tmp_path_factory.mktemp("job"), pictures, cache_dir)
    stopped, heard, results = Heard(), Heard(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(pipeline.WORK, Stage.TRAINING, fails)
        with pytest.raises(Stopped):
            run_pipeline(order, stopped)
    files = costly_files(order)
    found = run_pipeline(order, heard, results.append)
    return Job(order, stopped, files, heard, results, found)


def costly_files(order):
    """Return when each file that takes work to make was written; one is touched when it is read."""
    folders = (order.run_folder, order.gallery_folder)
    found = (path for folder in folders for path in folder.rglob("*") if path.suffix in COSTLY)
    return {path: path.stat().st_mtime_ns for path in found if path.name != EMBEDDINGS_FILE}


def test_each_stage_is_announced_and_tells_its_place_beside_its_progress(job):
    heard = (job.stopped, job.heard)
    announced = [[one for one in each.notices if one.startswith("stage ")] for each in heard]
    places = [[one.split(",")[0] for one in each] for each in announced]
    every = [f"stage {place} of 12: {name}" for place, name in enumerate(Stage, 1)]

    assert places[0] == [*every[:8], "stage 8 of 12"]
    assert announced[0][-1].startswith("stage 8 of 12, training of the pick, was not finished")
    assert [one for one in places[1] if one != every[4]] == every[:4] + every[5:6] + every[7:]
    assert "stage 5 of 12: Training the supernet" in job.stopped.parts
    assert "stage 7 of 12: Finalist 1 of 1: training" in job.stopped.parts
    assert tuple(job.results) == job.found.results


def test_a_job_that_was_stopped_goes_on_there_and_a_second_run_does_nothing_twice(job):
    whole = costly_files(job.order)
    assert job.files_of_stopped.items() < whole.items()

    again = Heard()
    times = run_pipeline(job.order, again).times

    assert costly_files(job.order) == whole
    assert not any("raining" in part or "mbedding" in part for part in again.parts)
    assert times.finished == tuple(Stage)


def test_what_stages_took_is_kept_and_adds_up_over_processes(job, monkeypatch):
    run = reopen_run(job.order.run_folder)
    before = read_times(run)
    assert before.seconds_in_all[Stage.SUPERNET] > 0
    assert set(before.seconds) == set(Stage)
    monkeypatch.setitem(pipeline.WORK, Stage.GALLERY, fails)
    other = TrainSettings(pick={"num_steps": 3, "batch_size": 8})
    with pytest.raises(Stopped):
        run_pipeline(replace(job.order, train=other))

    after = read_times(run)

    assert after.finished == (Stage.DATA,)  # of other settings
    in_all = before.seconds_in_all[Stage.DATA] + after.seconds[Stage.DATA]
    assert after.seconds_in_all[Stage.DATA] == pytest.approx(in_all)
    assert after.seconds_in_all[Stage.SUPERNET] == before.seconds_in_all[Stage.SUPERNET]


def test_a_pick_that_was_trained_anew_is_judged_anew(job):
    path = job.order.run.evaluation_path
    before = json.loads(path.read_text(encoding="utf-8"))
    longer = TrainSettings(pick={"num_steps": 3, "batch_size": 8}, control_steps=2)

    run_pipeline(replace(job.order, train=longer))

    after = json.loads(path.read_text(encoding="utf-8"))
    assert after["inputs_sha256"] != before["inputs_sha256"]


def test_damaged_times_are_refused_by_name(order):
    order.run_folder.mkdir()
    order.run.times_path.write_text('{"seconds": {"lunch": 1}}', encoding="utf-8")

    with pytest.raises(BadRun, match=r"times\.json"):
        run_pipeline(order)


def test_the_gallery_network_is_the_one_that_is_there_else_the_shipped_one_else_trained(
    order, monkeypatch
):
    assert order.gallery_network == "train"
    monkeypatch.setattr(pipeline_records, "shipped_names", lambda: [order.data])
    assert order.gallery_network == "shipped"
    order.gallery_folder.mkdir()
    (order.gallery_folder / "gallery.json").touch()
    assert order.gallery_network is None
    asked_for = replace(order, choices=PipelineSettings(gallery_network="train"))
    assert asked_for.gallery_network == "train"
