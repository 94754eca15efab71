"""Only what a process left for good is swept away."""

import errno
import os
import subprocess
import sys
import time

import pytest

from cmpc_base.files import replacing
from cmpc_base.leftovers import QUIET_S, sweep

LONG_AGO = time.time() - 10 * 365 * 86_400


@pytest.fixture(scope="module")
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def written(folder, name, at):
    path = folder / name
    path.write_text("half")
    os.utime(path, (at, at))
    return path


def test_the_file_of_a_process_that_was_killed_is_removed(tmp_path):
    script = (
        "import os, pathlib, sys; from cmpc_base.files import replacing\n"
        "with replacing(pathlib.Path(sys.argv[1])) as file: os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "weights")])
    [left] = tmp_path.iterdir()
    os.utime(left, (LONG_AGO, LONG_AGO))

    assert sweep(tmp_path) == [left]
    assert list(tmp_path.iterdir()) == []


def test_what_another_process_of_the_same_number_left_is_removed(tmp_path):
    left = written(tmp_path, f".weights.{os.getpid()}-0123abcd.tmp", LONG_AGO)

    assert sweep(tmp_path) == [left]


def test_a_file_that_is_being_written_stays(tmp_path, monkeypatch):
    monkeypatch.setattr("cmpc_base.leftovers.QUIET_S", 0.0)
    with replacing(tmp_path / "weights") as file:
        file.write(b"new")
        file.flush()
        assert sweep(tmp_path) == []
    assert (tmp_path / "weights").read_bytes() == b"new"


def test_what_safetensors_left_goes_after_a_day(tmp_path):
    old = written(tmp_path, ".tmpF08ka5", time.time() - 100_000)
    written(tmp_path, ".tmpF08ka6", time.time() - 2 * QUIET_S)

    assert sweep(tmp_path) == [old]


@pytest.mark.parametrize("name", ["weights", ".weights.tmp", ".a.12x.tmp", "weights.{dead}.tmp"])
def test_what_we_did_not_name_stays(tmp_path, dead, name):
    written(tmp_path, name.format(dead=dead), LONG_AGO)

    assert sweep(tmp_path) == []


def test_what_was_written_a_moment_ago_stays_as_its_process_may_be_on_another_machine(
    tmp_path, dead
):
    name = f".weights.{dead}-0123abcd.tmp"
    written(tmp_path, name, time.time() - QUIET_S / 2)

    assert sweep(tmp_path, tmp_path / "nowhere") == []


def test_what_can_not_be_removed_stays_and_nothing_fails(tmp_path, dead, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(path))

    monkeypatch.setattr("shutil.rmtree", refuse)
    folder = tmp_path / f".weights.{dead}-0123abcd.tmp"
    folder.mkdir()
    os.utime(folder, (LONG_AGO, LONG_AGO))
    file = written(tmp_path, f".zoo.{dead}-0123abcd.tmp", LONG_AGO)

    assert sweep(tmp_path) == [file]
    assert folder.is_dir()
