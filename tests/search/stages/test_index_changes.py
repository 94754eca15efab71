"""What commands change of an index is kept, whoever else changes it; it is verified once."""

import numpy as np
import pytest

from cmpc_base.cache import Cache
from cmpc_kernels import BadIndexFile, GalleryIndex, IndexChanged, ShardedIndex, open_index
from cmpc_kernels.gallery import index_file
from cmpc_kernels.gallery.index_file import IndexFile
from cmpc_search.embeddings import Embeddings, write_embeddings
from cmpc_search.stages import index_changes
from cmpc_search.stages.index_changes import (
    add_items,
    compact_items,
    recode_items,
    remove_items,
)
from cmpc_search.stages.verified_indexes import open_verified

NAMES = ("cup", "hat", "key")
ROWS = np.eye(3, 4, dtype=np.float32)


@pytest.fixture(params=["file", "folder"])
def shop(request, tmp_path):
    path = tmp_path / "shop"
    if request.param == "file":
        GalleryIndex.build(ROWS, item_names=NAMES).save(path)
    else:
        ShardedIndex.build(path, ROWS, rows_per_shard=2, item_names=NAMES)
    write_embeddings(tmp_path / "pen.safetensors", Embeddings(rows=ROWS[:1], item_names=("pen",)))
    (tmp_path / "gone.txt").write_text("hat\n")
    return path


@pytest.fixture
def somebody(shop, monkeypatch):
    """Somebody who saw no lock adds an item whenever the command has opened the index."""

    def opening(path, **options):
        opened = open_index(path, **options)
        if somebody.num_left:
            somebody.num_left -= 1
            other = open_index(path)
            other.add(ROWS[:1], item_names=[f"by somebody {somebody.num_left}"])
            if isinstance(other, GalleryIndex):
                other.save(path)
        return opened

    monkeypatch.setattr(index_changes, "open_index", opening)
    somebody = type("Somebody", (), {"num_left": 0})
    return somebody


def test_additions_and_removals_of_commands_and_of_others_all_happen(shop, somebody, tmp_path):
    somebody.num_left = 2
    assert add_items(shop, tmp_path / "pen.safetensors").num_items == 6
    somebody.num_left = 3
    removed = remove_items(shop, tmp_path / "gone.txt")

    assert (removed.num_changed, removed.num_items) == (1, 8)
    names = list(open_index(shop).item_names)
    assert len(names) == 8
    assert {"cup", "key", "pen"} <= set(names)
    assert "hat" not in names


def test_a_command_that_never_gets_its_turn_says_so(shop, somebody, tmp_path):
    somebody.num_left = 1000
    with pytest.raises(IndexChanged, match="open it again and repeat"):
        add_items(shop, tmp_path / "pen.safetensors")

    assert "pen" not in list(open_index(shop).item_names)


def test_codes_are_made_anew_and_items_stay(shop, somebody):
    somebody.num_left = 1

    assert recode_items(shop).num_items == 4
    assert list(open_index(shop).item_names) == [*NAMES, "by somebody 0"]


def test_what_the_disk_altered_is_not_written_anew_as_if_it_were_right(shop, tmp_path):
    path = next(one for one in files_of(shop) if b"hat" in one.read_bytes())
    path.write_bytes(path.read_bytes().replace(b"hat", b"cat"))
    before = {one: one.read_bytes() for one in files_of(shop)}
    (tmp_path / "gone.txt").write_text("cat\n")

    for change in (
        recode_items,
        lambda shop: compact_items(shop, 9 if shop.is_dir() else None),
        lambda shop: remove_items(shop, tmp_path / "gone.txt"),
    ):
        with pytest.raises(BadIndexFile, match="does not match its checksum"):
            change(shop)
    assert {one: one.read_bytes() for one in files_of(shop)} == before


@pytest.fixture
def read(monkeypatch):
    """Which files were read to be verified."""
    names, sha256_of = [], index_file.sha256_of
    monkeypatch.setattr(index_file, "sha256_of", lambda array: names.append(1) or sha256_of(array))
    return names


def test_an_index_is_read_to_be_verified_once_and_again_when_it_changed(shop, read, tmp_path):
    cache = Cache(tmp_path / "cache")
    for num_read in (True, False, False):
        assert len(open_verified(shop, cache)) == 3
        assert bool(read) == num_read
        read.clear()
    num_arrays = sum(len(IndexFile.open(path).sections) for path in files_of(shop))
    add_items(shop, tmp_path / "pen.safetensors")
    read.clear()

    assert len(open_verified(shop, cache)) == 4
    assert 0 < len(read) <= num_arrays
    read.clear()
    open_verified(shop, cache)
    assert not read
    assert len(list(cache.verified.iterdir())) == 1


def test_an_altered_index_is_refused_although_it_was_verified_before(shop, tmp_path):
    cache = Cache(tmp_path / "cache")
    open_verified(shop, cache)
    path = files_of(shop)[0]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    for _ in range(2):
        with pytest.raises(BadIndexFile, match="does not match its checksum"):
            open_verified(shop, cache)


def test_where_nothing_can_be_remembered_an_index_is_verified_each_time(shop, read, tmp_path):
    (tmp_path / "cache").write_text("a file")
    for _ in range(2):
        open_verified(shop, Cache(tmp_path / "cache"))
        assert read
        read.clear()


def files_of(shop):
    return sorted(shop.glob("shard-*")) if shop.is_dir() else [shop]
