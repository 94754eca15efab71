"""A study that another program locks, or that is damaged, is told as what it is."""

import os
import sqlite3
import subprocess
import sys

import pytest

from cmpc_search.errors import StudyUnavailable
from cmpc_search.study.coordination import sqlite as storage
from cmpc_search.study.coordination.files import FileCoordinator
from cmpc_search.study.loop import load_candidates, run_study
from cmpc_search.study.settings import StudySettings
from cmpc_search.testing.toy_study import ToySpace, toy_score

SETTINGS = StudySettings(num_trials=3, population=2, cost="macs")
BROWSER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
input()
connection.execute("ROLLBACK")
connection.close()
print("free", flush=True)
"""


@pytest.fixture
def study(tmp_path, space, score):
    path = tmp_path / "study.db"
    run_study(
        score, space, StudySettings(num_trials=1, cost="macs"), coordinator=FileCoordinator(path)
    )
    return path


@pytest.fixture
def browser(study):
    """Another program that has the study open for writing."""
    arguments = [sys.executable, "-c", BROWSER, str(study)]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(storage, "PATIENCE_S", 0.05)
    monkeypatch.setattr(storage, "LOCK_TIMEOUT_S", 0.3)


def test_a_study_that_another_program_locks_is_waited_for_and_the_program_named(
    study, browser, space, score
):
    notices = []

    def unlock(text):
        notices.append(text)
        browser.stdin.write("\n")
        browser.stdin.flush()

    summary = run_study(
        score, space, SETTINGS, coordinator=FileCoordinator(study), on_notice=unlock
    )

    assert summary.counts.finished == 3
    [notice] = notices
    assert str(study) in notice
    assert f"waiting for process {browser.pid}, which locks" in notice


def test_a_lock_that_stays_ends_the_search_with_the_file_and_what_to_do(
    study, browser, space, score
):
    with pytest.raises(StudyUnavailable, match="end that and give the same command") as caught:
        run_study(
            score, space, SETTINGS, coordinator=FileCoordinator(study), on_notice=lambda _: None
        )

    assert f"{study} must be free to be written, but process {browser.pid}" in str(caught.value)
    assert caught.value.exit_code == 1


def test_a_study_that_is_locked_can_still_be_looked_at(study, browser):
    assert len(load_candidates(FileCoordinator(study))) == 1


def overwritten(study):
    study.write_bytes(b"not a database at all" * 100)


def cut(study):
    os.truncate(study, study.stat().st_size // 2)


def of_another_layout(study):
    with sqlite3.connect(study) as connection:
        connection.execute("ALTER TABLE trials RENAME COLUMN state TO condition")
    connection.close()


def look(study):
    load_candidates(FileCoordinator(study))


def search(study):
    run_study(toy_score, ToySpace(), SETTINGS, coordinator=FileCoordinator(study))


@pytest.mark.parametrize("damage", [overwritten, cut, of_another_layout])
@pytest.mark.parametrize("act", [look, search])
def test_a_damaged_study_is_named_with_what_to_do(study, tmp_path, damage, act):
    copy = tmp_path / "copy.db"  # without the log beside it, from which SQLite would mend it
    with sqlite3.connect(study) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    connection.close()
    damage(copy)

    with pytest.raises(StudyUnavailable, match=f"{copy} must hold the study.*--fresh"):
        act(copy)
