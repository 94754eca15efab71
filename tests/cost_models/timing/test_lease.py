"""Processes that time at once, and the cores they get."""

import errno
import os
import subprocess
import sys

import pytest

from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.targets import machine
from cmpc_cost_models.timing import lease as lease_module
from cmpc_cost_models.timing.lease import CpuLease


@pytest.fixture
def four_cpus(monkeypatch):
    """Four hardware threads on two cores: 0 and 2 share one, 1 and 3 the other."""
    monkeypatch.setattr(machine, "allowed_cpus", lambda: frozenset(range(4)))
    for module in (machine, lease_module):
        monkeypatch.setattr(module, "core_of", lambda cpu: f"{cpu % 2},{cpu % 2 + 2}")


def test_each_process_gets_a_core_of_its_own_while_there_are_some(four_cpus, tmp_path):
    with CpuLease(1, folder=tmp_path) as first, CpuLease(1, folder=tmp_path) as second:
        assert (first.cpus, second.cpus) == ((3,), (2,))
        assert [*first.doubts(), *second.doubts()] == []

        with CpuLease(1, folder=tmp_path) as third:
            assert third.cpus == (3,)  # its neighbour shares the core with somebody, too
            [doubt] = third.doubts()
            assert "another process of cmpc times on the same processor (3)" in doubt
            first.close()
            assert len(list(third.doubts())) == 1  # the other had it while that timing began
            assert list(third.doubts()) == []

    with CpuLease(1, folder=tmp_path) as fourth:
        assert fourth.cpus == (3,)


def test_threads_get_cores_before_they_share_one(four_cpus, tmp_path):
    with CpuLease(2, folder=tmp_path) as two:
        assert two.cpus == (3, 2)
    with CpuLease(4, folder=tmp_path) as four:
        assert sorted(four.cpus) == [0, 1, 2, 3]
    with pytest.raises(BadArgument, match="processor of its own, got 4"):
        CpuLease(5, folder=tmp_path)


def test_a_process_that_is_killed_gives_its_core_back(tmp_path):
    script = (
        "import sys, time; from pathlib import Path\n"
        "from cmpc_cost_models.timing.lease import CpuLease\n"
        "lease = CpuLease(1, folder=Path(sys.argv[1])); print(*lease.cpus, flush=True)\n"
        "time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        theirs = int(other.stdout.readline())
        with CpuLease(1, folder=tmp_path, wanted=[theirs]) as mine:
            assert len(list(mine.doubts())) == 1
            other.kill()
            other.wait()
            assert len(list(mine.doubts())) == 1  # of the timing that it may have disturbed
            assert list(mine.doubts()) == []
    finally:
        other.kill()
        other.communicate()


def test_where_no_locks_can_be_kept_timing_goes_on(monkeypatch):
    monkeypatch.setattr(lease_module, "_own_folder", lambda: None)
    with CpuLease(1) as first, CpuLease(1) as second:
        assert first.cpus == second.cpus
        assert list(second.doubts()) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_no_other_process(number, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    with CpuLease(1, folder=tmp_path) as lease:
        assert list(lease.doubts()) == []


def test_a_lock_that_is_not_ours_to_open_stops_no_timing(tmp_path):
    with CpuLease(1, folder=tmp_path / "gone") as lease:
        assert list(lease.doubts()) == []


def test_a_system_without_affinity_has_all_its_processors(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)

    assert machine.allowed_cpus() == {0, 1, 2}
