"""What users see of the cache: how large it is, and how it is kept from growing."""

import json
import os
import time

import pytest
from click.testing import CliRunner

from cmpc.cli import command_line
from cmpc.cli.cache_size import SIZE, shown_size

DAY_S = 86_400


def invoke(*arguments, **environment):
    return CliRunner(env=environment).invoke(command_line, [str(one) for one in arguments])


@pytest.fixture
def cache_dir(tmp_path):
    """Two compiled networks of 512 KiB, and a download."""
    for name, days_ago in (("compiled/old", 9), ("compiled/new", 1), ("packages/one", 99)):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(os.urandom(2**19))
        used_at = time.time() - days_ago * DAY_S
        os.utime(folder, (used_at, used_at))
    return tmp_path


def test_the_cache_is_shown_kind_by_kind(cache_dir):
    document = json.loads(invoke("cache", "show", "--cache-dir", cache_dir, "--json").stdout)
    table = invoke("cache", "show", "--cache-dir", cache_dir).stdout

    kinds = {one["kind"]: one for one in document["kinds"]}
    assert kinds["compiled"]["num_entries"] == 2
    assert kinds["compiled"]["num_bytes"] == 2**20
    assert kinds["views"]["last_used_at"] is None
    assert document["num_bytes"] == 3 * 2**19
    assert "1.05 MB" in next(line for line in table.splitlines() if "compiled" in line)


def test_the_cache_is_trimmed_to_a_size_and_says_what_stays(cache_dir):
    result = invoke("cache", "trim", "--to", "1.2MB", "--cache-dir", cache_dir, "--json")

    assert result.exit_code == 0
    done = json.loads(result.stdout)
    assert (done["num_removed"], done["num_bytes_left"]) == (1, 2**20)
    assert [path.name for path in (cache_dir / "compiled").iterdir()] == ["new"]
    told = invoke("cache", "trim", "--to", "0", "--cache-dir", cache_dir).stderr
    assert "nothing goes without --kind" in told
    invoke("cache", "trim", "--to", "0", "--kind", "packages", "--cache-dir", cache_dir)
    assert not list((cache_dir / "packages").iterdir())


@pytest.mark.parametrize("by", ["flag", "environment"])
def test_a_command_that_fills_the_cache_leaves_no_more_than_its_size(cache_dir, tmp_path, by):
    """Even one that fails: this one is given no data."""
    words = ["data", "prepare", tmp_path / "nowhere", "--cache-dir", cache_dir]
    if by == "flag":
        result = invoke(*words, "--cache-size", "1.2 MB")
    else:
        result = invoke(*words, CMPC_CACHE_SIZE="1.2 MB")

    assert "1 entries (524 kB)" in result.stderr
    assert [path.name for path in (cache_dir / "compiled").iterdir()] == ["new"]
    assert (cache_dir / "packages" / "one").exists()


def test_a_command_that_only_reads_the_cache_trims_nothing(cache_dir):
    invoke("targets", "list", "--cache-dir", cache_dir, CMPC_CACHE_SIZE="0")

    assert len(list((cache_dir / "compiled").iterdir())) == 2


@pytest.mark.parametrize(
    ("text", "num_bytes"), [("20 GB", 20e9), ("1.5MiB", 1.5 * 2**20), ("7", 7), ("3kb", 3000)]
)
def test_sizes_are_read_as_people_write_them(text, num_bytes):
    assert SIZE.convert(text, None, None) == num_bytes


@pytest.mark.parametrize("text", ["", "-1", "1e3", "GB", "5 bananas", "nan", "1 000"])
def test_what_is_no_size_is_refused(text, tmp_path):
    result = invoke("cache", "trim", f"--to={text}", "--cache-dir", tmp_path)

    assert result.exit_code == 2
    assert "a size must be a number" in result.stderr


def test_a_kind_that_there_is_not_is_refused(tmp_path):
    result = invoke("cache", "trim", "--kind", "galleries", "--cache-dir", tmp_path)

    assert result.exit_code == 2
    assert "'compiled'" in result.stderr


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (2 * 10**10, "20 GB"), (12 * 10**14, "1200 TB")],
)
def test_sizes_are_shown_in_three_digits(num_bytes, text):
    assert shown_size(num_bytes) == text
