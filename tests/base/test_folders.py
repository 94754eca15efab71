"""A folder is new, or whole, or not there."""

import os
import stat
import subprocess
import sys
import time

import pytest

from cmpc_base.errors import BadArgument
from cmpc_base.folders import (
    check_new_or_empty,
    folder_draft,
    nearest_existing,
    scratch_folder,
)
from cmpc_base.leftovers import TEMPORARY, sweep


def test_a_draft_becomes_the_folder_and_has_the_permissions_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        with folder_draft(tmp_path / "made" / "folder") as draft:
            (draft / "file").write_text("new")
            assert not (tmp_path / "made" / "folder").exists()
    finally:
        os.umask(before)

    assert (tmp_path / "made" / "folder" / "file").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "made" / "folder").stat().st_mode) == 0o750
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["folder"]


def test_a_draft_that_fails_leaves_nothing(tmp_path):
    def fail_halfway():
        with folder_draft(tmp_path / "folder") as draft:
            (draft / "file").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_halfway()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"is_whole": lambda folder: (folder / "old").exists()}, ["old"]),
        ({"is_whole": lambda folder: False, "replace": True}, ["new"]),
        ({"replace": True}, ["new"]),
    ],
    ids=["a whole one stays", "a damaged one goes", "any goes"],
)
def test_of_two_that_make_one_folder_the_caller_says_whose_stays(tmp_path, options, kept):
    with folder_draft(tmp_path / "folder", **options) as draft:
        (draft / "new").touch()
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "old").touch()

    assert [path.name for path in (tmp_path / "folder").iterdir()] == kept
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_folder_that_is_there_stays_unless_the_caller_says_otherwise(tmp_path):
    (tmp_path / "folder" / "old").mkdir(parents=True)

    with pytest.raises(OSError, match="not empty"), folder_draft(tmp_path / "folder"):
        pass

    assert (tmp_path / "folder" / "old").exists()


def test_the_draft_of_a_process_that_was_killed_is_swept(tmp_path):
    script = (
        "import os, pathlib, sys; from cmpc_base.folders import folder_draft\n"
        "with folder_draft(pathlib.Path(sys.argv[1])) as draft:\n"
        "    (draft / 'weights').touch(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "folder")])
    [left] = tmp_path.iterdir()
    assert sweep(tmp_path) == []  # written a moment ago: its process may be on another machine
    for path in (left / "weights", left):
        os.utime(path, (time.time() - 10_000,) * 2)

    assert sweep(tmp_path) == [left]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_or_is_a_file_is_refused(tmp_path):
    (tmp_path / ".hidden").touch()
    check_new_or_empty(tmp_path, what="--out")
    check_new_or_empty(tmp_path / "new", what="--out")
    for name in "abcd":
        (tmp_path / name).touch()

    with pytest.raises(BadArgument, match=r"--out must be .* holds a, b, c, and 1 more; name"):
        check_new_or_empty(tmp_path, what="--out")
    with pytest.raises(BadArgument, match="is a file"):
        check_new_or_empty(tmp_path / "a", what="--out")


def test_the_nearest_folder_of_a_path_that_is_not_there_is_above_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert nearest_existing(tmp_path / "a" / "b") == tmp_path
    assert nearest_existing(tmp_path) == tmp_path
    assert str(nearest_existing("nowhere/b")) == os.getcwd()


def test_a_scratch_folder_is_gone_afterwards_and_is_swept_after_a_kill(tmp_path):
    with scratch_folder(tmp_path / "new" / "wanted") as folder:
        (folder / "file").write_text("half")
        assert TEMPORARY.fullmatch(folder.name)

    assert not list((tmp_path / "new").iterdir())
