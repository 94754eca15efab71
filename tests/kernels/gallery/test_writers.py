"""Several who read, change and write one gallery: each change is kept or refused, none is lost."""

import errno
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from cmpc_kernels import (
    BadArgument,
    GalleryIndex,
    IndexChanged,
    IndexSettings,
    ShardedIndex,
    index_lock,
    open_index,
    reference,
)
from cmpc_kernels.gallery import index_file, shard_files
from cmpc_kernels.gallery.shard_changes import ShardChange

OLD = Path(__file__).with_name("version_0_1_0")
ROWS = np.arange(8, dtype=np.float32).reshape(4, 2)
ONE = np.full((1, 2), 9, np.float32)


def no_locks(*_, **__):
    raise OSError(errno.ENOTSUP, "no locks here")


@pytest.fixture(params=["with locks", "without locks"])
def _locks(request, monkeypatch):
    """On some file systems the proof must do without."""
    if request.param == "without locks":
        monkeypatch.setattr("cmpc_kernels.locks.lock", no_locks)


@pytest.fixture(params=["file", "folder"])
def path(request, tmp_path, _locks):
    """A gallery of four items."""
    if request.param == "file":
        GalleryIndex.build(ROWS, "l2").save(tmp_path / "shop")
    else:
        ShardedIndex.build(tmp_path / "shop", ROWS, IndexSettings(metric="l2"), rows_per_shard=3)
    return tmp_path / "shop"


def save(index, path):
    if isinstance(index, GalleryIndex):
        index.save(path)


def add(index, path):
    ids = index.add(ONE)
    save(index, path)
    return ids.tolist()


def remove(index, path, ids):
    index.remove(ids)
    save(index, path)


def files_in(path):
    return {found.name for found in [*path.parent.iterdir(), *path.glob("*")]}


def test_who_has_not_seen_a_change_is_refused_and_the_change_stays(path):
    for change in (lambda index: remove(index, path, [0]), lambda index: add(index, path)):
        late, first = open_index(path), open_index(path)
        add(first, path)
        remove(first, path, [first.ids[0]])
        before, files = first.ids.tolist(), files_in(path)

        with pytest.raises(IndexChanged, match=r"shop must be what it was .*; open it again"):
            change(late)

        assert open_index(path).ids.tolist() == before
        assert files_in(path) == files


def test_no_id_is_given_twice(path):
    first, second = open_index(path), open_index(path)

    assert add(first, path) == [4]
    with pytest.raises(IndexChanged):
        add(second, path)
    assert add(open_index(path), path) == [5]


def test_one_index_may_change_its_gallery_again_and_again(path):
    index = open_index(path)
    for number in range(4):
        assert add(index, path) == [4 + number]
        remove(index, path, [number])

    assert open_index(path).ids.tolist() == [4, 5, 6, 7]


def test_what_is_saved_elsewhere_too_is_refused_where_it_came_from(tmp_path):
    path, other = tmp_path / "shop.index", tmp_path / "other.index"
    GalleryIndex.build(ROWS).save(path)
    index = GalleryIndex.load(path)
    GalleryIndex.build(ONE).save(path)  # made of nothing that was there: replaced, as by `build`
    index.save(other)
    index.save(other)

    with pytest.raises(IndexChanged):
        index.save(path)
    path.unlink()
    index.save(path)

    assert len(GalleryIndex.load(path)) == len(GalleryIndex.load(other)) == 4


@pytest.mark.usefixtures("_locks")
def test_what_is_compacted_is_searched_on_and_opened_by_who_began_before(tmp_path, monkeypatch):
    folder = tmp_path / "shop"
    ShardedIndex.build(folder, ROWS, IndexSettings(metric="l2"), rows_per_shard=1)
    early, late, open_file = open_index(folder), open_index(folder), shard_files.open_file
    early_ids = early.search(ROWS, 1).ids.tolist()

    def while_it_is_compacted(*arguments):
        monkeypatch.setattr(shard_files, "open_file", open_file)
        open_index(folder).compact(3)
        return open_file(*arguments)

    monkeypatch.setattr(shard_files, "open_file", while_it_is_compacted)
    between = open_index(folder)
    assert [len(between.shards), len(open_index(folder).shards)] == [4, 2]
    assert len(list(folder.glob("shard-*"))) == 5
    for change in (late.compact, lambda: late.add(ONE)):
        with pytest.raises(IndexChanged):
            change()
    open_index(folder).remove([3])
    assert len(list(folder.glob("shard-*"))) == 3
    for index in (early, between):
        assert index.search(ROWS, 1).ids.tolist() == early_ids


@pytest.mark.usefixtures("_locks")
def test_of_two_who_build_in_one_folder_one_is_refused(tmp_path):
    folder = tmp_path / "shop"

    def embeddings():
        yield ROWS
        if not ShardedIndex.is_in(folder):
            ShardedIndex.build(folder, ONE)  # the lock is this thread's: both are at work

    with pytest.raises(IndexChanged):
        ShardedIndex.build(folder, embeddings(), rows_per_shard=2)

    assert len(open_index(folder)) == 1
    assert len(list(folder.iterdir())) == 2
    with pytest.raises(BadArgument, match="must hold no gallery yet"):
        ShardedIndex.build(folder, ROWS)


@pytest.mark.parametrize("num_missed", [1, 2, 3, 5])
def test_a_writer_that_falls_asleep_before_its_commit_loses_nobodys_change(
    num_missed, tmp_path, monkeypatch
):
    """Old manifests are removed, so the number that it wants is free again after three changes."""
    folder = tmp_path / "shop"
    late = ShardedIndex.build(folder, ROWS)
    other, check = open_index(folder), ShardChange.check_is_next

    def sleep(change):
        check(change)
        if change._saved:
            monkeypatch.setattr(ShardChange, "check_is_next", check)
            for _ in range(num_missed):
                other.add(ONE)

    monkeypatch.setattr(ShardChange, "check_is_next", sleep)
    with pytest.raises(IndexChanged):
        late.add(ROWS)

    assert open_index(folder).ids.tolist() == list(range(4 + num_missed))
    assert open_index(folder).add(ONE).tolist() == [4 + num_missed]


@pytest.mark.parametrize("num_more", [1, 2, 5])
def test_a_writer_that_falls_asleep_after_its_commit_is_not_told_that_it_failed(
    num_more, tmp_path, monkeypatch
):
    folder = tmp_path / "shop"
    index = ShardedIndex.build(folder, ROWS)
    create = shard_files.Manifest.create

    def sleep(manifest, folder):
        create(manifest, folder)
        monkeypatch.setattr(shard_files.Manifest, "create", create)
        other = open_index(folder)
        for _ in range(num_more):
            other.add(ONE)

    monkeypatch.setattr(shard_files.Manifest, "create", sleep)

    assert index.add(ONE).tolist() == [4]
    assert len(open_index(folder)) == 5 + num_more


def test_what_a_loser_still_writes_may_be_taken_away_and_it_is_told_why(tmp_path, monkeypatch):
    folder = tmp_path / "shop"
    late = ShardedIndex.build(folder, ROWS, rows_per_shard=2)

    def embeddings():
        yield ROWS
        assert len(list(folder.glob("shard-*"))) == 3
        open_index(folder).add(ONE)
        assert len(list(folder.glob("shard-*"))) == 3
        yield ROWS

    with pytest.raises(IndexChanged):
        late.add(embeddings())
    assert open_index(folder).ids.tolist() == list(range(5))


def test_a_file_that_is_replaced_while_it_is_opened_is_the_old_one_whole(tmp_path, monkeypatch):
    path, check = tmp_path / "shop.index", index_file.checked_header
    GalleryIndex.build(ROWS).save(path)

    def replaced(*arguments):
        GalleryIndex.build(np.ones((50, 2), np.float32)).save(path)
        return check(*arguments)

    monkeypatch.setattr(index_file, "checked_header", replaced)

    np.testing.assert_array_equal(GalleryIndex.load(path).rows, ROWS)


@pytest.mark.parametrize(("num_changes", "expected"), [(1, [0, 1, 2, 3]), (2, [2, 3]), (3, [3])])
def test_a_folder_that_changes_while_it_is_opened_opens_as_it_was_or_is(
    num_changes, expected, tmp_path, monkeypatch
):
    """What was replaced stays for one generation; after that, opening begins anew."""
    folder, open_file = tmp_path / "shop", shard_files.open_file
    writer = ShardedIndex.build(folder, ROWS, rows_per_shard=2)

    def while_it_changes(*arguments):
        monkeypatch.setattr(shard_files, "open_file", open_file)
        for number in range(num_changes):
            writer.remove([number])
        return open_file(*arguments)

    monkeypatch.setattr(shard_files, "open_file", while_it_changes)

    assert open_index(folder).ids.tolist() == expected


def test_a_folder_that_never_rests_is_given_up_with_the_reason(tmp_path, monkeypatch):
    folder, open_file = tmp_path / "shop", shard_files.open_file
    writer = ShardedIndex.build(folder, ROWS)

    def gone(*arguments):
        with monkeypatch.context() as calm:
            calm.setattr(shard_files, "open_file", open_file)
            writer.add(ONE)
        return open_file(folder, shard_files.ShardFile(file="gone", header_sha256=""))

    monkeypatch.setattr("cmpc_kernels.gallery.shards.MAX_OPENINGS", 3)
    monkeypatch.setattr(shard_files, "open_file", gone)
    with pytest.raises(IndexChanged, match="changed 3 times meanwhile; try again"):
        open_index(folder)


@pytest.mark.parametrize("name", ["shop", "shop.index"])
def test_what_version_0_1_0_wrote_is_opened_answers_and_changes(name, tmp_path):
    """Files as that version wrote them: of five rows the fourth was removed."""
    path = tmp_path / name
    (shutil.copytree if name == "shop" else shutil.copy)(OLD / name, path)
    row_GD = np.array([[3, 1], [-2, 5], [0, 4], [1, 1], [7, -1], [9, 9]], np.float32)
    index = open_index(path)

    assert {file.written_by for file in index.stored_files} == {None}
    assert index.ids.tolist() == [0, 1, 2, 4]
    assert list(index.item_names) == ["cup", "hat", "ünï", "key"]
    assert index.labels.tolist() == [4, 0, 3, 2]
    assert index.add(ONE, item_names=["new"], labels=[7]).tolist() == [5]
    save(index, path)
    assert not (path / "manifest.json").exists()  # that version must not take it for the gallery
    index = open_index(path)
    index.remove([1])
    save(index, path)

    left = np.array([0, 2, 4, 5])
    expected = reference.topk(row_GD, row_GD[left], 3, "l2")
    found = open_index(path).search(row_GD, 3)
    np.testing.assert_array_equal(found.ids, left[expected.ids])
    np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.mark.usefixtures("_locks")
@pytest.mark.parametrize("folder", [False, True])
def test_what_killed_writers_left_is_gone_after_the_next_write(folder, tmp_path):
    path = tmp_path / "shop"
    if folder:
        ShardedIndex.build(path, ROWS)
        left = [".shard-00000000.index.1-00000000.tmp", ".manifest-7.json.1-00000000.tmp"]
        left, place = [*left, "shard-00000000.index", ".lock"], path
        others = ["shard-of-mine.index", ".shop.1-00000000.tmp", "manifest-of-mine.json"]
    else:
        GalleryIndex.build(ROWS).save(path)
        left, place = [".shop.1-00000000.tmp", ".shop.22-a0000000.tmp", ".shop.lock"], tmp_path
        others = [".shop.index.1-00000000.tmp", ".shop.1.tmp", "shop.1-00000000.tmp"]
    for name in [*left, *others]:
        (place / name).write_bytes(b"left")
    before = {found.name for found in place.iterdir()}
    opened = open_index(path)

    add(opened, path)

    after = {found.name for found in place.iterdir()}
    assert before - after == set(left)
    assert all((place / name).exists() for name in others)


def test_a_file_is_on_the_disk_before_what_it_replaces_goes(tmp_path, monkeypatch):
    """In the order of calls: contents, their folder, the manifest, its folder, then removals."""
    folder, calls = tmp_path / "above" / "shop", []

    def note(name, place):
        function = getattr(os, name)

        def noted(*arguments, **options):
            found = Path(place(arguments)).name
            if (name, found[:1]) != ("unlink", "."):  # temporary files and locks
                calls.append((name, re.sub(r"^\.?(shard|manifest).*", r"\1", found)))
            return function(*arguments, **options)

        monkeypatch.setattr(os, name, noted)

    note("fsync", lambda arguments: os.readlink(f"/proc/self/fd/{arguments[0]}"))
    note("replace", lambda arguments: arguments[1])
    note("link", lambda arguments: arguments[1])
    note("unlink", lambda arguments: arguments[0])
    index = ShardedIndex.build(folder, ROWS, rows_per_shard=2)
    assert calls[:2] == [("fsync", tmp_path.name), ("fsync", "above")]
    index.remove([0])
    calls.clear()
    index.remove([1])

    assert calls == [
        *(("fsync", "shard"), ("replace", "shard"), ("fsync", "shop")),
        *(("fsync", "manifest"), ("link", "manifest"), ("fsync", "shop")),
        *(("unlink", "manifest"), ("unlink", "shard")),
    ]


def test_a_removal_that_fails_half_way_changes_nothing(tmp_path, monkeypatch):
    folder = tmp_path / "shop"
    index = ShardedIndex.build(folder, ROWS, rows_per_shard=2)
    files, write = files_in(folder), GalleryIndex.write

    def second_fails(shard, path):
        monkeypatch.setattr(GalleryIndex, "write", full)
        return write(shard, path)

    def full(*_):
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(GalleryIndex, "write", second_fails)
    with pytest.raises(OSError, match="no space"):
        index.remove([0, 2])

    assert files_in(folder) == files
    assert index.ids.tolist() == open_index(folder).ids.tolist() == [0, 1, 2, 3]


def test_an_interruption_after_the_commit_leaves_the_change_whole(tmp_path, monkeypatch):
    folder = tmp_path / "shop"
    index = ShardedIndex.build(folder, ROWS)

    create = shard_files.Manifest.create

    def interrupted(*arguments):
        create(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(shard_files.Manifest, "create", interrupted)
    with pytest.raises(KeyboardInterrupt):
        index.add(ONE)
    monkeypatch.undo()

    assert open_index(folder).ids.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(IndexChanged):
        index.add(ONE)


def test_a_lock_that_a_thread_holds_it_may_take_again(tmp_path):
    path = tmp_path / "shop.index"
    with index_lock(path):
        with index_lock(path):
            GalleryIndex.build(ROWS).save(path)
        assert (tmp_path / ".shop.index.lock").exists()
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_without_locks_is_told_unless_they_are_a_courtesy(tmp_path, monkeypatch):
    monkeypatch.setattr("cmpc_kernels.locks.lock", no_locks)
    path = tmp_path / "shop.index"

    with pytest.raises(OSError, match="no locks") as told, index_lock(path):
        pytest.fail("the block must not run")
    with index_lock(path, if_possible=True):
        pass

    assert told.value.filename == str(path)
    assert not list(tmp_path.iterdir())
