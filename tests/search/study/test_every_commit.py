"""A process may die between any two commits to its study. Here it dies between each two, in turn.

Dying is an exception that nobody catches, thrown before the n-th write; the sign of life goes with
the stack. `test_kill.py` does the same with real processes and at random moments.
"""

import contextlib
import itertools
import json
import sqlite3

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from cmpc_search.study.coordination.files import FileCoordinator
from cmpc_search.study.loop import run_study
from cmpc_search.study.settings import Budget, StudySettings
from cmpc_search.testing.toy_study import ToySpace, toy_score

SETTINGS = StudySettings(num_trials=2, population=2, budget=Budget(latency_ms=100.0))
SPACE = ToySpace(num_blocks=1)


class Dies(BaseException):
    pass


@pytest.fixture
def die_at():
    """Return a function that makes the write of the given number the last thing that happens."""
    left = [None]

    def before_a_write(_connection, _cursor, statement, *_):
        if left[0] is not None and statement.startswith(("INSERT", "UPDATE", "DELETE")):
            left[0] -= 1
            if left[0] < 0:
                raise Dies

    def arm(count):
        left[0] = count

    event.listen(Engine, "before_cursor_execute", before_a_write)
    yield arm
    event.remove(Engine, "before_cursor_execute", before_a_write)


def stored_in(study):
    """Read the finished architectures past all of our code and Optuna's."""
    query = "SELECT value_json FROM trial_user_attributes WHERE key = 'score'"
    with contextlib.closing(sqlite3.connect(study)) as connection:
        return [json.loads(text)["architecture"] for (text,) in connection.execute(query)]


@pytest.mark.parametrize(
    ("num_spared", "num_writes"),
    [
        pytest.param(0, 30, id="from-the-start", marks=pytest.mark.slow),
        pytest.param(1, 10, id="last"),
    ],
)
def test_no_commit_is_the_wrong_one_to_die_before(tmp_path, die_at, num_spared, num_writes):
    for count in itertools.count():
        study, scored = tmp_path / f"{count}.db", []

        def score(architecture, scored=scored):
            scored.append(architecture.key)
            return toy_score(architecture, SPACE)

        def arm(progress, count=count):
            if progress.finished == num_spared:
                die_at(count)

        die_at(None if num_spared else count)
        try:
            run_study(score, SPACE, SETTINGS, coordinator=FileCoordinator(study), on_trial=arm)
            break  # it did not die: every write has had its turn
        except Dies:
            die_at(None)
        stored_at_death = stored_in(study)
        scored_at_death, scored[:] = list(scored), []
        summary = run_study(score, SPACE, SETTINGS, coordinator=FileCoordinator(study))

        stored = [each.score.architecture for each in summary.candidates]
        assert len(set(stored)) == len(stored) == 2, count
        assert set(scored_at_death) <= set(stored), f"lost: {count}"
        assert not set(stored_at_death) & set(scored), f"repeated: {count}"
        assert summary.counts.running == 0
    assert count >= num_writes  # all of them were tried
