"""`kill -9` at any moment: a search goes on where it stopped, in its training and in its trials."""

import random
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest
from safetensors import safe_open

from cmpc_search.runs import RunFolder
from cmpc_search.study.loop import load_candidates

pytestmark = pytest.mark.slow

PATIENCE_S = 120
NUM_STEPS = 550  # checkpoints after 250 and 500
TRAINING = {
    "CMPC_SEARCH_SUPERNET_NUM_STEPS": str(NUM_STEPS),
    "CMPC_SEARCH_SUPERNET_BATCH_SIZE": "4",
}


@contextmanager
def killed_in_the_end(project, arguments, **changes):
    """Run a command as a process that is killed when the block ends."""
    process = subprocess.Popen(
        project.program(arguments),
        env=project.process_environment(**changes),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL, "the kill must come before the end"


def wait_until(condition, process):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, "the search must not end by itself"
        assert time.monotonic() < deadline, "the search must make progress"
        time.sleep(0.005)


def steps_of(checkpoint):
    with safe_open(checkpoint, framework="pt") as file:
        return int(file.metadata()["step"])


def test_a_supernet_whose_training_is_killed_is_the_one_that_was_never_interrupted(project):
    killed, whole = project.folder / "killed-training", project.folder / "whole-training"
    checkpoint = killed / "supernet" / "checkpoint.safetensors"
    arguments = project.search(killed, trials=1)
    with killed_in_the_end(project, arguments, **TRAINING) as process:
        wait_until(checkpoint.exists, process)
    first = steps_of(checkpoint)
    written = checkpoint.stat().st_mtime_ns
    with killed_in_the_end(project, arguments, **TRAINING) as process:
        wait_until(lambda: checkpoint.stat().st_mtime_ns != written, process)
    second = steps_of(checkpoint)

    project.answer(*arguments, **TRAINING)
    project.answer(*project.search(whole, trials=1), **TRAINING)

    assert (first, second) == (250, 500)  # the second process did not begin again
    weights = [run / "supernet" / "supernet.safetensors" for run in (killed, whole)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert not checkpoint.exists()


def test_a_search_killed_among_its_trials_completes_and_scores_nothing_twice(project):
    run, trials, num_kills = project.folder / "killed-trials", 40, 4
    arguments = project.search(run, trials=trials)
    rng = random.Random(5)

    def written():
        """Return when the network of each candidate was written: once a scoring."""
        return {path.stem: path.stat().st_mtime_ns for path in run.glob("candidates/*.onnx")}

    finished = {}
    for _ in range(num_kills):
        num_wanted = len(written()) + 2
        with killed_in_the_end(project, arguments) as process:
            wait_until(lambda wanted=num_wanted: len(written()) >= wanted, process)
            time.sleep(rng.uniform(0, 0.2))
        keys = [one.score.architecture for one in load_candidates(RunFolder(run).coordinator)]
        times = written()
        finished |= {key: times[key] for key in keys if key not in finished}
    assert 0 < len(finished) < trials

    answer = project.answer(*arguments)

    candidates = load_candidates(RunFolder(run).coordinator)
    assert len(candidates) == answer["counts"]["finished"] == trials
    assert answer["counts"]["failed"] == 0
    assert len({one.number for one in candidates}) == trials
    assert len({one.score.architecture for one in candidates}) == trials
    assert finished.items() <= written().items()  # nobody wrote, so nobody scored, them again
