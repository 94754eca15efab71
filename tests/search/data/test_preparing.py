"""Preparing goes on after a kill, by any number of processes, and ends with the same bytes."""

import errno
import os
import signal

import numpy as np
import pytest

from cmpc_base import locks
from cmpc_search.data import cache as cache_module
from cmpc_search.data import load_image_set
from cmpc_search.data import readers as readers_module
from cmpc_search.data.filling import ROWS_PER_CHUNK
from cmpc_search.errors import BadData, FileUnavailable


def load(source, cache_dir, progress=None, size_px=8):
    return load_image_set(source, size_px=size_px, cache_dir=cache_dir, progress=progress)


def stopped_in(photos, cache_dir, *, at):
    """Prepare, and stop when so many pictures are read."""

    def stop(done, total):
        if done == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(photos, cache_dir, stop)


def first_step(photos, cache_dir):
    told = []
    image_set = load(photos, cache_dir, lambda *step: told.append(step))
    return told[0], image_set


@pytest.mark.parametrize("num_done", [ROWS_PER_CHUNK, 36 + ROWS_PER_CHUNK], ids=["items", "pixels"])
def test_what_was_read_before_a_stop_is_not_read_again(photos, tmp_path, num_done):
    stopped_in(photos, tmp_path / "one", at=num_done + 1)
    assert not list((tmp_path / "one").glob("data/*-8px-*/image_set.json"))

    (done, total), image_set = first_step(photos, tmp_path / "one")

    if num_done > 36:  # the items are there and no part of this progress
        num_done, total = num_done - 36, total + 36
    assert (done, total) == (num_done + 1, 72)
    assert image_set.sha256 == load(photos, tmp_path / "two").sha256
    assert not list((tmp_path / "one").glob("data/*.unfinished"))


def test_what_a_power_failure_lost_is_read_again(photos, tmp_path):
    stopped_in(photos, tmp_path / "one", at=36 + ROWS_PER_CHUNK + 1)
    (path,) = (tmp_path / "one").glob("data/*.unfinished/images.npy")
    rows = np.load(path, mmap_mode="r+")
    rows[3] = 0
    rows.flush()

    (done, _), image_set = first_step(photos, tmp_path / "one")

    assert done == 1
    assert image_set.sha256 == load(photos, tmp_path / "two").sha256


def test_a_picture_that_was_edited_after_a_stop_is_read_again(photos, tmp_path, save_picture):
    stopped_in(photos, tmp_path, at=36 + ROWS_PER_CHUNK + 1)
    save_picture(photos / "class00" / "0.png", seed=999)

    (done, total), _ = first_step(photos, tmp_path)

    assert (done, total) == (1, 72)


def test_a_file_system_without_locks_can_hold_the_cache(photos, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(locks, "lock", refuse)

    assert len(load(photos, tmp_path)) == 36


@pytest.fixture
def two_readers(monkeypatch):
    monkeypatch.setattr(readers_module, "WORTHWHILE_ROWS", 0)
    monkeypatch.setattr(readers_module, "allowed_cpus", lambda: {0, 1})


@pytest.mark.usefixtures("two_readers")
def test_two_processes_end_with_the_bytes_of_one(photos, tmp_path, monkeypatch):
    (photos / "class00" / "broken.png").write_bytes(b"no picture")
    told = []
    together = load(photos, tmp_path / "two", lambda *step: told.append(step))
    monkeypatch.undo()
    alone = load(photos, tmp_path / "one")

    assert together.sha256 == alone.sha256
    assert together.drops == alone.drops
    assert together.drops.total == 1
    assert told[-1] == (73, 73)


@pytest.mark.usefixtures("two_readers")
def test_what_another_process_can_not_read_is_told_as_by_one(photos, tmp_path):
    load(photos, tmp_path)
    for number in range(36):  # each is unreadable now, and its time tells nothing
        picture = photos / f"class{number // 3:02}" / f"{number % 3}.png"
        facts = picture.stat()
        picture.write_bytes(b"x" * facts.st_size)
        os.utime(picture, ns=(facts.st_atime_ns, facts.st_mtime_ns))

    with pytest.raises(BadData, match=r"class\d\d/\d\.png was read at 64 px .* readable at 9 px"):
        load(photos, tmp_path, size_px=9)


@pytest.mark.usefixtures("two_readers")
def test_a_process_that_is_ended_from_outside_is_no_verdict_on_a_picture(
    photos, tmp_path, monkeypatch
):
    told = readers_module._Reader._tell

    def end(self, message):
        told(self, message)
        os.kill(self._process.pid, signal.SIGKILL)

    with monkeypatch.context() as patched:
        patched.setattr(readers_module._Reader, "_tell", end)
        with pytest.raises(FileUnavailable, match="want of memory"):
            load(photos, tmp_path)

    assert load(photos, tmp_path).drops.total == 0


def test_a_second_load_hashes_no_pixels(photos, tmp_path, monkeypatch):
    before = load(photos, tmp_path)
    hashed = []
    real = cache_module.file_hash
    monkeypatch.setattr(cache_module, "file_hash", lambda p: hashed.append(p.name) or real(p))

    assert load(photos, tmp_path).sha256 == before.sha256
    assert hashed == []

    (path,) = tmp_path.glob("data/*-8px-*/images.npy")
    path.touch()
    load(photos, tmp_path)
    load(photos, tmp_path)
    assert hashed == ["images.npy"]


def test_a_file_that_changed_but_for_its_size_is_not_trusted(photos, tmp_path):
    before = load(photos, tmp_path)
    (path,) = tmp_path.glob("data/*-8px-*/images.npy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    assert load(photos, tmp_path).sha256 == before.sha256
    assert path.read_bytes() != bytes(content)
