"""What leaves a cache that is too large, and what stays: under readers, writers and kills."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from cmpc_base import trimming
from cmpc_base.cache import Cache
from cmpc_base.cache_users import oldest_use
from cmpc_base.errors import UnknownName
from cmpc_base.locks import open_locked
from cmpc_base.trimming import entries_of, trim

KIB = 1024
HOUR_S = 3600.0


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture
def put(cache):
    """Puts a folder of some KiB into the cache, last used some hours ago."""

    def put(name, *, kib=64, hours_ago=1.0):
        folder = cache.path / name
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(os.urandom(kib * KIB))
        used_at = time.time() - hours_ago * HOUR_S
        os.utime(folder, (used_at, used_at))
        return folder

    return put


def total_of(cache):
    return sum(entry.num_bytes for entry in entries_of(cache))


def test_what_was_used_longest_ago_goes_until_the_rest_fits(cache, put):
    put("compiled/new", hours_ago=1)
    old, older = put("views/old", hours_ago=5), put("kernels/older", hours_ago=9)

    done = trim(cache, to_bytes=total_of(cache) - 65 * KIB)

    assert [entry.path for entry in done.removed] == [older, old]
    assert [entry.path.name for entry in entries_of(cache)] == ["new"]
    assert done.num_bytes_left == total_of(cache) == 64 * KIB


def test_nothing_goes_while_all_fits(cache, put):
    put("compiled/one")

    assert trim(cache, to_bytes=total_of(cache)).removed == ()
    assert trim(Cache(cache.path / "nowhere"), to_bytes=0).num_bytes_left == 0


def test_a_use_makes_an_entry_the_last_to_go(cache, put):
    used, other = put("compiled/used", hours_ago=9), put("compiled/other", hours_ago=5)

    cache.mark_used(used)

    assert [one.path for one in trim(cache, to_bytes=70 * KIB).removed] == [other]


@pytest.mark.parametrize("kind", ["packages", "runtimes", "schedules", "benchmarks"])
def test_what_cmpc_does_not_make_again_goes_only_when_asked_for(kind, cache, put):
    kept = put(f"{kind}/kept", hours_ago=99)
    put("compiled/other")

    left = trim(cache, to_bytes=0)
    assert kept.exists()
    assert left.num_bytes_left == 64 * KIB
    trim(cache, to_bytes=0, kinds=[kind])
    assert not kept.exists()


def test_only_the_kinds_that_are_named_lose_entries(cache, put):
    put("views/old", hours_ago=99)
    named = put("kernels/named")

    assert [one.path for one in trim(cache, to_bytes=0, kinds=["kernels"]).removed] == [named]


def test_a_kind_that_there_is_not_is_refused(cache, put):
    put("kernels/old")

    with pytest.raises(UnknownName, match="did you mean 'kernels'"):
        trim(cache, to_bytes=0, kinds=["kernel"])


def test_a_cache_that_may_not_be_written_is_refused_and_not_called_used(cache, put, monkeypatch):
    put("data/one")
    monkeypatch.setattr(trimming.os, "access", lambda path, mode: False)

    with pytest.raises(PermissionError, match="nothing may be removed"):
        trim(cache, to_bytes=0)
    assert trim(cache, to_bytes=total_of(cache)).removed == ()


def test_two_that_trim_at_once_remove_no_more_than_one_would(cache, put, monkeypatch):
    names = [put(f"kernels/{number}", hours_ago=9 - number).name for number in range(4)]
    remove_one, both = trimming._remove, []

    def beside_another(entry):
        if not both:
            both.append(None)
            both[0] = trim(cache, to_bytes=130 * KIB)
        return remove_one(entry)

    monkeypatch.setattr(trimming, "_remove", beside_another)

    assert trim(cache, to_bytes=130 * KIB).num_bytes_left == 128 * KIB
    assert sorted(path.name for path in cache.kernels.iterdir()) == names[2:]


def test_sizes_are_what_files_take_and_links_count_once(cache, put):
    folder = put("data/set", kib=64)
    os.link(folder / "file", folder / "again")
    (folder / "link").symlink_to("/")
    with (folder / "sparse").open("wb") as file:
        file.truncate(10 * 2**30)

    assert 64 * KIB <= total_of(cache) <= 72 * KIB


USE = """
import sys, time
from pathlib import Path
from cmpc_base.cache import Cache
from cmpc_base.errors import UnknownName

cache = Cache(Path(sys.argv[1]))
cache.mark_used(cache.compiled / "used")
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def user(cache):
    """A process that uses the entry `used` until it is told to end."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}

    def start():
        process = subprocess.Popen([sys.executable, "-c", USE, str(cache.path)], **pipes)
        assert process.stdout.readline() == "ready\n"
        started.append(process)
        return process

    started = []
    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_what_a_running_process_uses_stays_and_goes_after_it_was_killed(cache, put, user):
    used, other = put("compiled/used", hours_ago=99), put("compiled/other", hours_ago=5)
    schedules = put("schedules/tuned", hours_ago=99)
    process = user()

    done = trim(cache, to_bytes=0)
    asked = trim(cache, to_bytes=0, kinds=["schedules"])

    assert [one.path for one in done.removed] == [other]
    assert [one.path for one in done.in_use] == [used]
    assert [one.path for one in asked.in_use] == [schedules]
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [one.path for one in trim(cache, to_bytes=0).removed] == [used]
    assert not list(cache.users.glob(f"{process.pid}*"))


def test_what_is_used_while_it_is_being_removed_is_put_back(cache, put, monkeypatch):
    entry = put("compiled/used")
    beside = trimming.temporary_beside

    def used_meanwhile(path):
        os.utime(path)
        return beside(path)

    monkeypatch.setattr(trimming, "temporary_beside", used_meanwhile)

    assert trim(cache, to_bytes=0).removed == ()
    assert [path.name for path in entry.iterdir()] == ["file"]


def test_what_is_used_at_the_moment_it_is_taken_away_is_put_back(cache, put, monkeypatch):
    entry, rename = put("compiled/used"), Path.rename

    def used_meanwhile(path, target):
        os.utime(path)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", used_meanwhile)

    assert trim(cache, to_bytes=0).removed == ()
    assert [path.name for path in entry.iterdir()] == ["file"]


def test_of_several_users_the_one_that_came_first_says_what_is_in_use(cache):
    cache.users.mkdir(parents=True)
    with ExitStack() as files:
        for began_at in (200, 100, 300):
            path = cache.users / f"{began_at}.lock"
            files.enter_context(open_locked(path))
            os.utime(path, (began_at, began_at))

        assert oldest_use(cache.users) == 100


TRIM = """
import os, shutil, signal, sys
from pathlib import Path
from cmpc_base import trimming
from cmpc_base.cache import Cache
from cmpc_base.errors import UnknownName

shutil.rmtree = lambda _: os.kill(os.getpid(), signal.SIGKILL)
trimming.trim(Cache(Path(sys.argv[1])), to_bytes=0)
"""


def test_a_killed_trimming_leaves_whole_entries_and_the_next_one_clears_up(cache, put, monkeypatch):
    put("compiled/gone", hours_ago=9)
    put("compiled/whole", hours_ago=1)
    subprocess.run([sys.executable, "-c", TRIM, str(cache.path)], timeout=60, check=False)

    assert [entry.path.name for entry in entries_of(cache)] == ["whole"]
    [left] = cache.compiled.glob(".*")
    for path in (left, left / "file"):  # as it is some time later
        os.utime(path, (0, 0))
    assert trim(cache, to_bytes=0).swept == (left,)
    assert not list(cache.compiled.iterdir())


def test_a_cache_that_may_only_be_read_can_be_used(cache, put, monkeypatch):
    entry = put("compiled/used")

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("cmpc_base.cache.join_users", refuse)
    monkeypatch.setattr("cmpc_base.cache.os.utime", refuse)

    cache.mark_used(entry)


def test_without_locks_nothing_goes_that_was_used_today(cache, put, monkeypatch):
    old, today = put("compiled/old", hours_ago=30), put("compiled/today", hours_ago=3)

    def refuse(*_, **__):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("cmpc_base.cache_users.join_users", refuse)

    done = trim(cache, to_bytes=0)

    assert [[one.path for one in part] for part in (done.removed, done.in_use)] == [[old], [today]]


def test_every_kind_has_its_folder_in_the_record(cache):
    from cmpc_base.cache import KINDS

    assert {cache.folder(kind) for kind in KINDS} == {getattr(cache, kind.name) for kind in KINDS}
