"""Programs that change one index at once: each change is kept, and the dead hold nobody up."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from cmpc_kernels import GalleryIndex, ShardedIndex, index_lock, open_index

ADD = """
import sys, numpy
from cmpc_kernels import GalleryIndex, index_lock, open_index
path = sys.argv[1]
print("ready", flush=True)
sys.stdin.read()
for _ in range(4):
    with index_lock(path):
        index = open_index(path)
        index.add(numpy.ones((1, 4), numpy.float32))
        if isinstance(index, GalleryIndex):
            index.save(path)
"""
HOLD = """
import sys
from cmpc_kernels import index_lock
with index_lock(sys.argv[1]):
    print("ready", flush=True)
    sys.stdin.read()
"""


def started(script, path):
    """Start a program that is ready when this returns, and goes on when its input ends."""
    command = [sys.executable, "-c", script, str(path)]
    program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert program.stdout.readline() == "ready\n"
    return program


def ended(program):
    """Let a program go on, and return its exit code."""
    program.communicate(timeout=60)
    return program.returncode


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_every_change_of_programs_that_change_at_once_is_kept(kind, tmp_path):
    path, rows = tmp_path / "shop", np.ones((1, 4), np.float32)
    if kind == "file":
        GalleryIndex.build(rows, "l2").save(path)
    else:
        ShardedIndex.build(path, rows, rows_per_shard=100)
    programs = [started(ADD, path) for _ in range(3)]
    for program in programs:
        program.stdin.close()
        program.stdin = None  # `communicate` would close it again

    assert [ended(program) for program in programs] == [0, 0, 0]
    found = open_index(path)
    assert found.ids.tolist() == list(range(13))
    assert not list(tmp_path.rglob("*lock"))


def test_a_kill_leaves_no_lock_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("cmpc_base.locks.PATIENCE_S", 0.1)
    path = tmp_path / "shop.index"
    holder = started(HOLD, path)
    told = []

    def kill(notice):
        told.append(notice)
        holder.kill()

    with index_lock(path, on_wait=kill):
        assert told == [f"waiting for process {holder.pid}, which changes {path}"]

    assert ended(holder) < 0
    assert not list(tmp_path.iterdir())


def test_an_index_that_can_not_be_locked_is_named_and_not_its_lock(tmp_path):
    path = tmp_path / "nowhere" / "shop.index"

    with pytest.raises(FileNotFoundError) as told, index_lock(path):
        pytest.fail("the block must not run")

    assert told.value.filename == str(path)


def test_a_link_to_an_index_has_the_lock_of_the_index(tmp_path, monkeypatch):
    monkeypatch.setattr("cmpc_base.locks.PATIENCE_S", 0.1)
    path, link, told = tmp_path / ("n" * 255), tmp_path / "link", threading.Event()
    link.symlink_to(path.name)
    order = []

    def change():
        with index_lock(link, on_wait=lambda _: told.set()):
            order.append("second")

    with index_lock(path):
        thread = threading.Thread(target=change, daemon=True)
        thread.start()
        assert told.wait(30)
        order.append("first")
    thread.join(30)

    assert order == ["first", "second"]
