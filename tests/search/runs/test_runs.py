"""A run folder is made once, resumed only as what it is, and never lost."""

import csv
import json
import os
import subprocess
import sys

import pytest

from cmpc_base.json_files import read_json, write_json
from cmpc_search.errors import BadRun
from cmpc_search.runs import (
    note_session,
    open_run,
    read_pick,
    reopen_run,
    set_aside,
    write_front,
    write_pick,
    write_trials,
)
from cmpc_search.study.coordination.files import FileWorker
from cmpc_search.study.records import Accuracy, Candidate, CandidateScore
from cmpc_search.study.settings import Budget

SETTINGS = {"search": {"trials": 10, "seed": 0, "widths": (0.6, 1.0)}, "space": "small"}
INPUTS = {"data_sha256": "d0", "gallery_sha256": "60"}
FREE = {"search.trials"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs" / "emoji"


def opened(path, settings=SETTINGS, inputs=INPUTS, **options):
    return open_run(path, settings=settings, inputs=inputs, free=FREE, **options)


def changed(**search):
    return SETTINGS | {"search": SETTINGS["search"] | search}


def test_the_same_settings_open_the_run_again(path):
    first = opened(path)
    (first.supernet_path / "weights").write_text("kept")
    assert (opened(path).supernet_path / "weights").read_text() == "kept"
    assert reopen_run(path).settings["search"]["widths"] == [0.6, 1.0]


def test_a_setting_that_came_after_a_run_was_begun_is_no_other_while_it_is_not_set(path):
    opened(path)

    assert opened(path, changed(input_size_px=None)).settings["search"]["seed"] == 0


def test_a_run_that_was_killed_while_it_was_made_is_made_after_all(path):
    path.mkdir(parents=True)
    (path / ".settings.json.123.tmp").write_text("{")  # what a kill before the rename leaves

    assert opened(path).candidates_path.is_dir()


def test_a_run_whose_folders_a_kill_prevented_gets_them(path):
    opened(path).candidates_path.rmdir()

    assert opened(path).candidates_path.is_dir()


def test_what_killed_processes_left_is_swept_when_the_run_is_opened_again(path):
    run = opened(path)
    left = run.supernet_path / ".supernet.safetensors.4000000-0123abcd.tmp"
    left.write_text("half")
    os.utime(left, (0, 0))
    fresh = run.supernet_path / ".supernet.safetensors.4000000-4567abcd.tmp"
    fresh.write_text("half")

    opened(path)

    assert [one.name for one in run.supernet_path.iterdir()] == [fresh.name]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_run_that_lost_its_study_is_not_begun_again_in_silence(path, is_there):
    run = opened(path)
    write_trials(run, [], budget=Budget())
    if is_there:
        run.study_path.write_bytes(b"")

    with pytest.raises(BadRun, match=r"must hold the trials that .*trials.csv lists.*--fresh"):
        opened(path)

    set_aside(path)
    opened(path)


def test_a_free_setting_may_change_and_is_stored(path):
    opened(path)
    assert opened(path, changed(trials=50)).settings["search"]["trials"] == 50


@pytest.mark.parametrize(
    ("settings", "inputs", "said"),
    [
        (changed(seed=1), INPUTS, "search.seed was 0, now 1"),
        (changed(budget_ms=5), INPUTS, "search.budget_ms was not set, now 5"),
        (SETTINGS, INPUTS | {"gallery_sha256": "61"}, 'gallery_sha256 was "60", now "61"'),
    ],
)
def test_another_setting_or_input_is_refused_by_name(path, settings, inputs, said):
    opened(path)
    with pytest.raises(BadRun, match=r"with `cmpc search --fresh`") as caught:
        opened(path, settings, inputs)
    assert said in str(caught.value)
    assert reopen_run(path).settings == json.loads(json.dumps(SETTINGS))


def test_many_differences_are_counted_not_listed(path):
    opened(path)
    with pytest.raises(BadRun, match="and 2 more"):
        opened(path, changed(a=1, b=2, c=3, d=4, seed=5))


def test_fresh_moves_each_old_run_aside(path):
    for seed in range(3):
        set_aside(path)
        opened(path, changed(seed=seed))
    kept = [path, path.with_name("emoji.old-1"), path.with_name("emoji.old-2")]
    assert [reopen_run(each).settings["search"]["seed"] for each in kept] == [2, 0, 1]


HOLD = """
import sys, pathlib
from cmpc_base.locks import exclusive
from cmpc_search.runs import RunFolder
run = RunFolder(pathlib.Path(sys.argv[1]))
with {}: print("held", flush=True); input()
"""


@pytest.mark.parametrize(
    ("work", "said"),
    [
        ("run.coordinator.join()", r"1 process\(es\) search in it: {pid}-"),
        ("exclusive(run.supernet_lock_path, doing='x')", "process {pid} trains in it"),
        ("exclusive(run.train_lock_path, doing='x')", "process {pid} trains in it"),
    ],
    ids=["search", "supernet", "picks"],
)
def test_fresh_refuses_while_another_process_works_on_the_run(path, work, said):
    opened(path)
    arguments = [sys.executable, "-c", HOLD.format(work), str(path)]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BadRun, match=f"must be idle.*{said.format(pid=holder.pid)}"):
            set_aside(path)
        holder.kill()
    set_aside(path)  # the dead don't count, though their file is still there


def test_a_folder_with_other_files_is_not_taken_over(path):
    path.mkdir(parents=True)
    (path / "thesis.tex").write_text("precious")
    with pytest.raises(BadRun, match=r"a new or empty folder, .* holds thesis\.tex"):
        opened(path)
    with pytest.raises(BadRun, match=r"without settings\.json"):
        reopen_run(path)
    assert [each.name for each in path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("is_there", "got"), [(True, r"a folder without settings\.json"), (False, "no such folder")]
)
def test_what_is_no_run_is_told_from_what_is_not_there(path, is_there, got):
    if is_there:
        path.mkdir(parents=True)

    with pytest.raises(BadRun, match=f"must be a run, got {got}; see `cmpc search`"):
        reopen_run(path)


def test_a_run_of_another_schema_is_not_guessed_at(path):
    run = opened(path)
    write_json(run.settings_path, {"schema_version": 2, "settings": {}, "inputs": {}})
    with pytest.raises(BadRun, match="schema_version 1, got 2"):
        reopen_run(path)


def test_the_manifest_gets_an_entry_for_each_process(path):
    run = opened(path)
    for trials in ("10", "50"):
        note_session(run, ["cmpc", "search", "--trials", trials])
    manifest = read_json(run.manifest_path)
    assert [entry["command"][-1] for entry in manifest["sessions"]] == ["10", "50"]
    assert manifest["inputs"] == INPUTS
    assert {"optuna", "torch", "python"} <= manifest["sessions"][0]["versions"].keys()
    assert manifest["sessions"][0]["machine"]["cpu_model"]


@pytest.mark.parametrize("value", [float("nan"), {1, 2}])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, value):
    write_json(tmp_path / "front.json", {"a": 1})
    with pytest.raises((TypeError, ValueError)):
        write_json(tmp_path / "front.json", {"a": value})
    assert [each.name for each in tmp_path.iterdir()] == ["front.json"]
    assert read_json(tmp_path / "front.json") == {"a": 1}


def test_results_come_back_from_disk(path):
    run = opened(path)
    score = CandidateScore(
        architecture="k3w1.0",
        heterogeneous=Accuracy(top1=0.5, top10=0.9, mean_average_precision=0.4),
        reward_name="heterogeneous",
        reward=0.5,
        macs=2_000_000,
        latency={"value": 3.5, "unit": "ms", "source": "measured", "spread": 0.1},
        unstable_reasons=("drift",),
    )
    failed = CandidateScore(architecture="xcw1.0", reward_name="r", error='said "no", twice')
    candidates = [Candidate(number=0, score=score), Candidate(number=3, score=failed)]
    budget = Budget(latency_ms=4.0)
    write_trials(run, candidates, budget=budget)
    write_front(run, candidates[:1], cost="latency", budget=budget)
    write_pick(run, candidates[0], how="best", cost="latency", budget=budget)

    with run.trials_path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["number"] for row in rows] == ["0", "3"]
    assert (rows[0]["latency_ms"], rows[0]["latency_is_stable"]) == ("3.5", "False")
    assert (rows[0]["heterogeneous_map"], rows[0]["homogeneous_top1"]) == ("0.4", "")
    assert (rows[1]["error"], rows[1]["is_feasible"]) == ('said "no", twice', "False")
    assert read_json(run.front_path)["front"] == [{"number": 0, "score": score.to_json()}]
    assert read_pick(run) == candidates[0]


def test_each_number_of_a_trial_stands_in_its_own_column(path):
    score = CandidateScore(
        architecture="k3w1.0",
        homogeneous=Accuracy(
            top1=0.11, top10=0.12, mean_average_precision=0.13, mean_reciprocal_rank=0.14
        ),
        heterogeneous=Accuracy(
            top1=0.21, top10=0.22, mean_average_precision=0.23, mean_reciprocal_rank=0.24
        ),
        cosine=0.25,
        reward_name="product map",
        reward=0.31,
        macs=4_000_000,
        parameters=5_000,
        latency={
            "value": 6.5,
            "unit": "ms",
            "source": "predicted",
            "spread": 0.07,
            "not_observed": ["its clock", "its temperature"],
            "artefact_sha256": "ab",
        },
        seconds=8.5,
    )
    run = opened(path)

    write_trials(run, [Candidate(number=9, score=score)], budget=Budget(latency_ms=6.0))

    with run.trials_path.open(newline="") as file:
        [row] = csv.DictReader(file)
    assert row == {
        "number": "9",
        "architecture": "k3w1.0",
        "is_feasible": "False",  # 6.5 ms are over the budget
        "reward_name": "product map",
        "reward": "0.31",
        "homogeneous_top1": "0.11",
        "homogeneous_top10": "0.12",
        "homogeneous_map": "0.13",
        "homogeneous_mrr": "0.14",
        "heterogeneous_top1": "0.21",
        "heterogeneous_top10": "0.22",
        "heterogeneous_map": "0.23",
        "heterogeneous_mrr": "0.24",
        "cosine": "0.25",
        "trained_reward": "",
        "macs": "4000000",
        "parameters": "5000",
        "latency_ms": "6.5",
        "latency_source": "predicted",
        "latency_not_observed": "its clock; its temperature",
        "latency_spread_ms": "0.07",
        "latency_is_stable": "True",
        "artefact_sha256": "ab",
        "seconds": "8.5",
        "unknown_reasons": "",
        "error": "",
    }


@pytest.mark.parametrize("write", [write_front, write_pick])
def test_a_front_and_a_pick_say_within_what_they_were_asked_for(path, write):
    run = opened(path)
    candidate = Candidate(number=0, score=CandidateScore(architecture="a", reward_name="r"))
    what = {write_front: [candidate], write_pick: candidate}[write]
    how = {"how": "knee"} if write is write_pick else {}

    write(run, what, cost="macs", budget=Budget(latency_ms=4.0, macs=70), **how)

    document = read_json(run.pick_path if how else run.front_path)
    assert (document["cost"], document.get("how")) == ("macs", how.get("how"))
    assert document["budget"] == {"latency_ms": 4.0, "macs": 70}


def test_a_run_without_a_pick_says_what_to_do(path):
    with pytest.raises(BadRun, match="run `cmpc pareto`"):
        read_pick(opened(path))


def test_reading_runs_needs_none_of_the_heavy_libraries():
    script = "import sys, cmpc_search.runs, cmpc_search.study; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {"optuna", "torch", "tvm", "onnx", "numba"}.isdisjoint(run.stdout.split())


def test_a_worker_that_ended_leaves_no_file(tmp_path):
    with FileWorker(tmp_path / "workers") as worker:
        assert worker.is_alive(worker.name)
    assert not worker.is_alive("12-unknown")
    assert list((tmp_path / "workers").iterdir()) == []
