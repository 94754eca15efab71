"""A file is there whole or not at all, with its permissions, at the end of its links."""

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from cmpc_base.files import creating, made_for, replacing, temporary_beside


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("exists", [False, True])
def test_a_link_stays_a_link_and_what_it_points_to_is_written(exists, tmp_path):
    target, link = tmp_path / "elsewhere" / "target", tmp_path / "link"
    target.parent.mkdir()
    if exists:
        target.write_bytes(b"old")
    link.symlink_to(Path("elsewhere") / "target")

    with replacing(link) as file:
        file.write(b"new")

    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o644, 0o666])
def test_an_existing_file_keeps_its_permissions(mode, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)

    with replacing(path) as file:
        assert not mode_of(Path(file.name)) & ~(mode | 0o200)  # not even for a moment more open
        file.write(b"new")

    assert (mode_of(path), path.read_bytes()) == (mode, b"new")


def test_a_new_file_has_the_permissions_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "made" / "file") as file:
            file.write(b"new")
    finally:
        os.umask(before)

    assert mode_of(tmp_path / "made" / "file") == 0o640


@pytest.mark.parametrize(("exists", "mode"), [(False, 0o640), (True, 0o600)])
def test_a_library_may_write_by_name_and_even_replace_the_file(exists, mode, tmp_path):
    path = tmp_path / "file"
    if exists:
        path.touch(0o600)
    before = os.umask(0o027)
    try:
        with replacing(path) as file:
            (tmp_path / "another").write_bytes(b"new")
            (tmp_path / "another").replace(file.name)
    finally:
        os.umask(before)

    assert (path.read_bytes(), mode_of(path)) == (b"new", mode)


@pytest.mark.parametrize("exists", [False, True])
def test_a_file_system_without_permissions_is_written(exists, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    path = tmp_path / "file"
    if exists:
        path.touch(mode=0o600)
    monkeypatch.setattr(Path, "chmod", refuse)

    with replacing(path) as file:
        file.write(b"new")

    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_a_body_that_fails_leaves_the_old_file_and_nothing_else(error, tmp_path):
    (tmp_path / "file").write_bytes(b"old")

    def fail_halfway():
        with replacing(tmp_path / "file") as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        fail_halfway()

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"old"}


def test_two_writers_of_one_process_do_not_meet(tmp_path):
    contents = [bytes([n]) * 4096 for n in range(8)]

    def write(content):
        with replacing(tmp_path / "file") as file:
            file.write(content[:2048])
            barrier.wait()
            file.write(content[2048:])

    barrier = threading.Barrier(len(contents))
    threads = [threading.Thread(target=write, args=[content]) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [path.read_bytes() in contents for path in tmp_path.iterdir()] == [True]


def test_a_name_as_long_as_names_may_be_is_written(tmp_path):
    path = tmp_path / ("é" * 127)  # 254 bytes

    with replacing(path) as file:
        file.write(b"new")

    assert path.read_bytes() == b"new"


def test_only_files_are_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to(os.devnull)
    (tmp_path / "folder").mkdir()

    for name in ("pipe", "null", "folder"):
        with pytest.raises(OSError, match="can"), replacing(tmp_path / name):
            pytest.fail("the body must not run")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path):
    path = tmp_path / "file"

    with pytest.raises(OSError, match="No space left") as full, replacing(path) as file:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert full.value.filename == str(path)
    with pytest.raises(PermissionError) as refused, replacing(path) as file:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), file.name)
    assert refused.value.filename == str(path)
    with pytest.raises(FileNotFoundError) as other, replacing(path):
        Path(tmp_path / "another").read_bytes()
    assert other.value.filename == str(tmp_path / "another")


@pytest.mark.parametrize("has_links", [True, False])
def test_of_two_who_create_a_file_one_does_and_the_other_is_told(has_links, tmp_path, monkeypatch):
    def no_links(*_):
        raise PermissionError(errno.EPERM, "no links here")

    path = tmp_path / "made" / "file"
    if not has_links:
        monkeypatch.setattr(os, "link", no_links)

    late = creating(path)
    late.__enter__().write(b"late")
    with creating(path) as first:
        first.write(b"first")
    with pytest.raises(FileExistsError) as told:
        late.__exit__(None, None, None)

    assert told.value.filename == str(path)
    assert path.read_bytes() == b"first"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_server_that_was_asked_twice_has_created_the_file(tmp_path, monkeypatch):
    link = os.link

    def twice(*names):
        link(*names)
        link(*names)

    monkeypatch.setattr(os, "link", twice)
    with creating(tmp_path / "file") as file:
        file.write(b"once")

    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_may_stop_a_replacement_is_asked_when_all_is_written(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def refuse():
        (written,) = tmp_path.glob(".file.*.tmp")
        assert written.read_bytes() == b"new"
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"), replacing(path, check=refuse) as file:
        file.write(b"new")

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_temporary_name_tells_whose_it_is(tmp_path):
    assert made_for(temporary_beside(tmp_path / "a.1-00000000.tmp").name) == "a.1-00000000.tmp"
    assert made_for(temporary_beside(tmp_path / ("n" * 99)).name) == "n" * 48
    assert [made_for(name) for name in ("a.tmp", ".a.tmp", ".a.1.tmp", "a.1-00000000.tmp")] == [
        *(None, None, None, None)
    ]
