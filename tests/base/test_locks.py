"""A lock is held by one, ends with its holder, and says whom the others wait for."""

import subprocess
import sys
import threading

import pytest

from cmpc_base import locks
from cmpc_base.locks import LockOwner, exclusive, try_lock

HOLD = """
import pathlib, sys
from cmpc_base.locks import exclusive
with exclusive(pathlib.Path(sys.argv[1]), doing=""):
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of a file."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


def test_who_waits_is_told_for_whom_and_a_kill_ends_the_wait(tmp_path, holder, monkeypatch):
    monkeypatch.setattr(locks, "PATIENCE_S", 0.0)
    told, is_told = [], threading.Event()

    def end_it(notice):
        told.append(notice)
        is_told.set()
        holder.kill()

    with exclusive(tmp_path / "lock", doing="trains", on_wait=end_it):
        assert is_told.wait(30)

    assert told == [f"waiting for process {holder.pid}, which trains"]


def test_an_open_file_owns_its_lock_even_against_its_own_process(tmp_path):
    with (tmp_path / "lock").open("a") as first, (tmp_path / "lock").open("a") as second:
        assert try_lock(first, LockOwner.OPEN_FILE)
        assert not try_lock(second, LockOwner.OPEN_FILE)
        first.close()
        assert try_lock(second, LockOwner.OPEN_FILE)


def test_where_the_system_has_no_such_locks_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)

    with (tmp_path / "lock").open("a") as file, pytest.raises(OSError, match="POSIX"):
        try_lock(file, LockOwner.PROCESS)


def test_a_lock_that_is_free_is_taken_without_a_word(tmp_path):
    told = []

    with exclusive(tmp_path / "lock", doing="trains", on_wait=told.append):
        pass

    assert told == []
