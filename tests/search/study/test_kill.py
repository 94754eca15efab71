"""The promise of a run: `kill -9` at any moment loses nothing and repeats nothing."""

import collections
import copy
import random
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from cmpc_search.study.coordination.files import FileCoordinator, FileWorker
from cmpc_search.study.coordination.sqlite import create_study, load_study
from cmpc_search.study.ledger import Ledger
from cmpc_search.study.loop import load_candidates, run_study
from cmpc_search.study.settings import StudySettings

PROGRAM = Path(__file__).with_name("slow_search.py")


def start(study, log, *, num_trials, seconds):
    arguments = [str(study), str(log), str(num_trials), str(seconds)]
    return subprocess.Popen([sys.executable, str(PROGRAM), *arguments])


def scored_by(log):
    return log.read_text().split() if log.exists() else []


def wait_for_lines(log, process, count):
    deadline = time.monotonic() + 30
    while len(scored_by(log)) < count and process.poll() is None:
        assert time.monotonic() < deadline, "the search must make progress"
        time.sleep(0.005)


def check_nothing_is_lost_or_repeated(study, log, *, num_trials, num_kills):
    candidates = load_candidates(FileCoordinator(study))
    stored = [candidate.score.architecture for candidate in candidates]
    assert len(stored) == num_trials
    assert len(set(stored)) == num_trials
    scored = collections.Counter(scored_by(log))
    assert set(scored) == set(stored)
    # A kill between the scorer's line and the commit of the score may cost that one scoring.
    repeats = sum(scored.values()) - num_trials
    assert repeats <= num_kills
    return repeats


@pytest.mark.slow
def test_a_search_killed_again_and_again_completes_without_loss(tmp_path):
    study, log, rng = tmp_path / "study.db", tmp_path / "scored", random.Random(3)
    num_kills = 4
    for kill in range(num_kills):
        process = start(study, log, num_trials=16, seconds=0.02)
        wait_for_lines(log, process, 3 * (kill + 1))
        time.sleep(rng.uniform(0, 0.08))
        process.kill()
        process.wait()
    assert start(study, log, num_trials=16, seconds=0).wait() == 0

    check_nothing_is_lost_or_repeated(study, log, num_trials=16, num_kills=num_kills)


def test_a_candidate_interrupted_while_scored_is_the_next_one(tmp_path, space, score):
    study, seen = tmp_path / "study.db", []

    def interrupted(architecture):
        seen.append(architecture)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return score(architecture)

    settings = StudySettings(num_trials=4, cost="macs")
    with pytest.raises(KeyboardInterrupt):
        run_study(interrupted, space, settings, coordinator=FileCoordinator(study))
    summary = run_study(interrupted, space, settings, coordinator=FileCoordinator(study))

    assert seen[3] == seen[2]
    assert summary.counts.finished == 4
    assert len(seen) == 5
    # NSGA-II counts on it: a trial without a generation is in nobody's population.
    trials = load_study(study).get_trials(states=[TrialState.COMPLETE])
    assert all("NSGAIISampler:generation" in trial.system_attrs for trial in trials)


def test_a_death_while_the_dead_are_settled_queues_nothing_twice(
    tmp_path, space, score, monkeypatch
):
    study, scored = tmp_path / "study.db", []

    def interrupted(*_, **options):
        raise KeyboardInterrupt

    def counted(architecture):
        scored.append(architecture.key)
        return score(architecture)

    settings = StudySettings(num_trials=3, cost="macs")
    with pytest.raises(KeyboardInterrupt):
        run_study(interrupted, space, settings, coordinator=FileCoordinator(study))
    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "tell", interrupted)  # the candidate is queued by then
        with pytest.raises(KeyboardInterrupt):
            run_study(counted, space, settings, coordinator=FileCoordinator(study))
    summary = run_study(counted, space, settings, coordinator=FileCoordinator(study))

    assert summary.counts.finished == 3
    assert len(set(scored)) == len(scored) == 3


@pytest.mark.slow
def test_two_processes_share_one_study_and_one_may_die(tmp_path):
    study, log = tmp_path / "study.db", tmp_path / "scored"
    processes = [start(study, log, num_trials=16, seconds=0.05) for _ in range(2)]
    wait_for_lines(log, processes[0], 6)
    processes[0].kill()
    assert [process.wait() for process in processes] == [-9, 0]

    check_nothing_is_lost_or_repeated(study, log, num_trials=16, num_kills=1)


def test_a_score_stored_just_before_its_owner_died_is_kept(tmp_path, space, score, monkeypatch):
    study = tmp_path / "study.db"
    settings = StudySettings(num_trials=1, cost="macs")

    def interrupted(*_, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "tell", interrupted)  # the score is stored by then
        with pytest.raises(KeyboardInterrupt):
            run_study(score, space, settings, coordinator=FileCoordinator(study))

    rows_now, readings = Ledger._rows, []

    def rows_that_lag(self):
        readings.append(rows_now(self))
        if len(readings) > 1:
            return readings[-1]
        stale = [copy.deepcopy(row) for row in readings[-1]]
        for row in stale:
            row.user_attrs.pop("score")
        return stale

    store = create_study(study)
    with FileWorker(tmp_path / "workers") as worker:
        ledger = Ledger(store, space, settings, worker)
        monkeypatch.setattr(Ledger, "_rows", rows_that_lag)
        ledger.settle()

    assert [trial.state for trial in store.trials] == [TrialState.COMPLETE]
