"""Processes that read and change one gallery at once, some of them killed: nothing goes wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("busy_gallery.py")


@pytest.mark.parametrize("kind", ["file", "folder", "folder-without-locks"])
@pytest.mark.parametrize(
    ("seconds", "num_killed"), [(2, 4), pytest.param(60, 200, marks=pytest.mark.slow)]
)
def test_two_writers_that_are_killed_and_four_readers_lose_and_leave_nothing(
    seconds, num_killed, kind, tmp_path
):
    path = tmp_path / "shop" / "gallery"
    command = [sys.executable, SCRIPT, kind, path, str(seconds), "2", "4"]

    ran = subprocess.run(command, capture_output=True, text=True, timeout=600)

    assert (ran.returncode, ran.stderr) == (0, "")
    told = json.loads(ran.stdout)
    assert told.pop("num_killed") >= num_killed
    assert told.pop("num_kept") > num_killed // 4
    assert told == {
        "num_died_otherwise": 0,
        "num_failed_readers": 0,
        "num_doubled": 0,
        "lost_or_renumbered": [],
        "nobodys": [],
        "halves": [],
    }
    assert not left_over(path)


def left_over(path):
    """Return the names of all files that no index needs."""
    beside = {one.name for one in path.parent.iterdir() if not one.name.startswith("journal")}
    if path.is_file():
        return beside - {path.name}
    manifests = sorted(path.glob("manifest-*.json"), key=lambda one: int(one.stem[9:]))[-2:]
    shards = {shard["file"] for one in manifests for shard in json.loads(one.read_text())["shards"]}
    return {one.name for one in path.iterdir()} - shards - {one.name for one in manifests}
