"""Writers at the same time, writers that die, files that are not what they should be."""

import os
import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest

from cmpc_base.errors import MachineFault
from cmpc_cost_models.errors import BadScheduleDatabase
from cmpc_cost_models.schedules.database import ScheduleDatabase, database_path
from cmpc_cost_models.schedules.records import TuningRecord
from cmpc_cost_models.schedules.schedule import Schedule
from cmpc_cost_models.schedules.source import open_schedules
from cmpc_cost_models.targets.table import find_target

TARGET = find_target("x86-64-v3")


def record(rows, **changes):
    return TuningRecord(
        workload_key="a workload", schedule=Schedule(rows=rows), median_us=1.0 * rows, **changes
    )


@pytest.fixture
def database(tmp_path):
    with ScheduleDatabase.open(tmp_path, TARGET) as database:
        yield database


def test_what_is_committed_comes_back_unchanged(database):
    first = record(1, spread_us=0.5, num_repeats=21, rule_us=2.0, machine={"cpu_model": "a"})
    failed = replace(record(3), median_us=None, error="it hung")

    database.commit([failed, first], best=first.schedule)

    assert database.tried("a workload") == [first, failed]
    assert database.best("a workload") == first
    assert database.all_best() == [first]
    assert database.tried("another") == []


def test_each_processor_has_its_own_times_and_its_own_best(database):
    here, there = record(1, cpu_model="a"), record(1, cpu_model="b")
    other = record(2, cpu_model="b")

    database.commit([here], best=here.schedule)
    database.commit([there, other], best=other.schedule)

    assert database.best("a workload", "a") == here
    assert database.best("a workload", "b") == other
    assert database.all_best() == [here, other]
    assert database.tried("a workload", "a") == [here]
    assert len(database.tried("a workload")) == 3


def test_what_was_tried_comes_the_fastest_first_and_failures_last(database):
    failed = replace(record(1), median_us=None, error="it hung")

    database.commit([record(3), failed, record(2)])

    assert [one.median_us for one in database.tried("a workload")] == [2.0, 3.0, None]


COUNT_UP = """
import sys
from pathlib import Path
from cmpc_cost_models.schedules.schedule import Schedule
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.schedules.database import ScheduleDatabase
from cmpc_cost_models.schedules.records import TuningRecord

with ScheduleDatabase.open(Path(sys.argv[1]), find_target("x86-64-v3")) as database:
    steps = 0
    while steps < 40:
        held = database.best("counter")
        next_one = Schedule(rows=held.schedule.rows + 1 if held else 1)
        record = TuningRecord(workload_key="counter", schedule=next_one, median_us=1.0)
        steps += database.commit([record], best=next_one, instead_of=held and held.schedule)
"""


def test_two_writers_lose_nothing_of_each_other(tmp_path):
    command = [sys.executable, "-c", COUNT_UP, str(tmp_path)]
    writers = [subprocess.Popen(command) for _ in range(2)]
    assert [one.wait(timeout=60) for one in writers] == [0, 0]

    with ScheduleDatabase.open(tmp_path, TARGET) as database:
        assert database.best("counter").schedule.rows == 80
        assert len(database.tried("counter")) == 80


def test_a_writer_that_is_killed_leaves_what_it_committed(tmp_path):
    script = COUNT_UP.replace("steps < 40", "True") + "\n"
    script = script.replace("        steps +=", "        print(steps, flush=True); steps +=")
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        seen = [int(writer.stdout.readline()) for _ in range(25)][-1]
        writer.kill()

    with ScheduleDatabase.open(tmp_path, TARGET) as database:
        assert database.best("counter").schedule.rows >= seen
        assert database.best("counter") in database.tried("counter")


def test_the_state_changes_exactly_when_another_schedule_is_to_be_used(database):
    states = [database.state_sha256()]
    first, second = record(1), record(2)

    database.commit([first], best=first.schedule)
    states.append(database.state_sha256())
    database.commit([second])  # a trial
    database.commit([replace(first, median_us=9.0)])  # a new timing
    assert not database.commit([second], best=second.schedule, instead_of=Schedule(rows=7))
    assert database.state_sha256() == states[-1]

    assert database.commit([second], best=second.schedule, instead_of=first.schedule)
    states.append(database.state_sha256())
    assert len(set(states)) == 3


@pytest.mark.parametrize("content", [b"", b"no database at all" * 300])
def test_a_file_that_is_no_database_is_named_and_kept(content, tmp_path):
    path = database_path(tmp_path, TARGET)
    path.write_bytes(content)

    with pytest.raises(BadScheduleDatabase, match=r"x86-64-v3-.* move it away"):
        open_schedules(tmp_path, TARGET)
    with pytest.raises(BadScheduleDatabase, match="move it away"):
        ScheduleDatabase.open(tmp_path, TARGET)

    assert path.read_bytes() == content


def test_a_damaged_page_is_an_error_and_no_empty_answer(tmp_path):
    with ScheduleDatabase.open(tmp_path, TARGET) as database:
        database.commit([record(rows) for rows in range(1, 200)], best=Schedule(rows=1))
    path = database_path(tmp_path, TARGET)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))

    with pytest.raises(BadScheduleDatabase, match="move it away"):
        open_schedules(tmp_path, TARGET)


def test_another_layout_is_refused(tmp_path):
    ScheduleDatabase.open(tmp_path, TARGET).close()
    with sqlite3.connect(database_path(tmp_path, TARGET)) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()

    with pytest.raises(BadScheduleDatabase, match="got layout 99"):
        ScheduleDatabase.open(tmp_path, TARGET)


def test_other_code_and_other_processors_have_other_files(tmp_path, monkeypatch):
    from cmpc_cost_models import identity

    paths = {database_path(tmp_path, find_target(name)) for name in ("x86-64-v3", "x86-64-v4")}
    assert len(paths) == 2
    monkeypatch.setattr(identity, "code_identity", lambda *_, **__: "another kernel")
    assert database_path(tmp_path, TARGET) not in paths


def test_where_nothing_was_tuned_there_is_no_source(tmp_path):
    assert open_schedules(tmp_path, TARGET) is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_refuses_files_is_not_called_a_damaged_database(tmp_path):
    with ScheduleDatabase.open(tmp_path, TARGET) as database:
        path = database.path
    path.with_name(f"{path.name}-wal").mkdir()  # as on a read-only disk, SQLite's log can't be

    with pytest.raises(MachineFault, match="the machine refuses"):
        ScheduleDatabase.open(tmp_path, TARGET)
