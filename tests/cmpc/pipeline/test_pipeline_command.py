"""The whole job in one command, with the real TVM: killed, gone on with, and done only once."""

import json
import signal
import subprocess
import time

import pytest
from made_up_project import work_done
from PIL import Image

from cmpc_search.stages.pipeline_times import Stage

pytestmark = pytest.mark.slow

PATIENCE_S = 120
BY_MACS = ["--cost", "macs", "--trials", 3, "--threads", 1]
SHORT = {
    "CMPC_GALLERY_WIDTH": "8",
    "CMPC_GALLERY_DEPTHS": "1,1",
    "CMPC_GALLERY_TRAINING_NUM_STEPS": "20",
    "CMPC_PIPELINE_SAMPLED_QUERIES": "3",
    "CMPC_TRAIN_PICK_NUM_STEPS": "5",
    "CMPC_TRAIN_CONTROL_STEPS": "3",
}


def wait_for(path, process):
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert process.poll() is None, "the job must not end by itself"
        assert time.monotonic() < deadline, "the job must make progress"
        time.sleep(0.01)


def test_a_job_that_is_killed_goes_on_and_a_second_one_does_no_work(project):
    run, gallery = project.folder / "whole" / "run", project.folder / "whole" / "gallery"
    words = ["pipeline", run, "--gallery", gallery, "--data", project.pictures, *BY_MACS]
    process = subprocess.Popen(
        project.program(words),
        env=project.process_environment(**SHORT),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(run / "supernet" / "supernet.safetensors", process)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    before = {path for path in work_done(gallery.parent).items() if "embeddings" not in path[0]}

    answer = project.answer(*words, **SHORT)

    assert before <= set(work_done(gallery.parent).items())
    assert [*answer["times"]["seconds"]] == [*Stage]
    assert len(answer["stages"]["queries"]["answers"]) == 3
    assert answer["stages"]["evaluation"]["architecture"] in str(answer["stages"]["search"])
    assert json.loads((run / "times.json").read_text())["finished"] == [*Stage]
    for name in ("front.png", "queries.png"):
        with Image.open(run / name) as picture:
            assert picture.width > 100
    built = work_done(run)

    project.answer(*words, **SHORT)

    assert {name: at for name, at in work_done(run).items() if name != "gallery.index"} == {
        name: at for name, at in built.items() if name != "gallery.index"
    }
