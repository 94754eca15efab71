"""`cmpc tune`, as a user runs it: a network, a whole run, and an interruption."""

import json
import os
import signal
import subprocess

import numpy as np
import pytest
from made_up_project import Project

from cmpc_cost_models.graphs.writing import GraphWriter
from cmpc_cost_models.schedules.source import open_schedules
from cmpc_cost_models.targets.compilers import linker_for
from cmpc_cost_models.targets.table import find_target


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder with a network of two layers."""
    if linker_for(find_target("host")) is None:
        pytest.skip("tuning needs what compiling needs")
    folder = tmp_path_factory.mktemp("tune")
    rng = np.random.default_rng(0)
    writer = GraphWriter("tiny", (1, 3, 16, 16))
    weight = rng.standard_normal((8, 3, 3, 3), dtype=np.float32)
    features = writer.relu(writer.conv(writer.input, weight, stride=2, padding=1))
    pooled = writer.global_average_pool(features)
    dense = writer.dense(pooled, rng.standard_normal((12, 8), dtype=np.float32))
    writer.save(folder / "tiny.onnx", dense)
    return Project(folder)


@pytest.mark.slow
def test_a_network_is_tuned_and_a_second_call_has_nothing_left_to_try(tiny):
    words = ["tune", tiny.folder / "tiny.onnx", "--target", "host", "--trials", 12]
    first = tiny.answer(*words)
    again = tiny.answer(*words)

    assert first["num_trials"] == 12
    assert first["best_us"] <= first["rule_us"]
    assert {one["kind"] for one in first["workloads"]} == {
        one["kind"] for one in again["workloads"]
    }
    assert first["workloads"] == again["workloads"]
    source = open_schedules(tiny.folder / "cache" / "schedules", find_target("host"))
    assert source.state_sha256() == first["state_sha256"]
    shown = tiny.invoke(*words)
    assert "rule us" in shown.stdout
    assert "workloads are tuned" in shown.stderr


@pytest.fixture
def heeded_interrupts():
    """Tests that run in the background ignore Ctrl-C, and so would their children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.usefixtures("heeded_interrupts")
def test_ctrl_c_keeps_what_was_measured_and_exits_with_130(tiny):
    arguments = ["tune", tiny.folder / "tiny.onnx", "--trials", 100000]
    arguments += ["--trials-per-workload", 100000]
    environment = tiny.process_environment(CMPC_CACHE=str(tiny.folder / "interrupted"))
    with subprocess.Popen(
        tiny.program(arguments), stderr=subprocess.PIPE, text=True, env=environment
    ) as tuning:
        for line in tuning.stderr:
            if line.startswith("Tuning: "):  # a batch is done
                break
        os.kill(tuning.pid, signal.SIGINT)
        rest = tuning.stderr.read()

    assert tuning.returncode == 130
    assert "interrupted" in rest
    assert tiny.answer(*arguments[:3], 1, CMPC_CACHE=environment["CMPC_CACHE"])["num_trials"] > 0


def test_a_target_that_needs_another_machine_is_refused(tiny):
    foreign = "x86-64-v3" if find_target("host").architecture == "aarch64" else "cortex-a72"

    result = tiny.invoke("tune", tiny.folder / "tiny.onnx", "--target", foreign)

    assert result.exit_code == 2
    assert "on a machine of that kind" in result.stderr


@pytest.mark.slow
def test_the_space_of_a_run_is_tuned_and_its_search_uses_the_records(project):
    run = project.folder / "tuned-run"
    project.answer(*project.search(run, trials=1))

    tuned = project.answer("tune", run, "--trials", 8)

    assert tuned["num_trials"] == 8
    assert len(tuned["workloads"]) > 20
    assert json.dumps(tuned)
