"""What commands change of an index is kept, whoever else changes it."""

import numpy as np
import pytest

from cmpc_kernels import BadIndexFile, GalleryIndex, IndexChanged, ShardedIndex, open_index
from cmpc_search.embeddings import Embeddings, write_embeddings
from cmpc_search.stages import index_changes
from cmpc_search.stages.index_changes import (
    add_items,
    compact_items,
    recode_items,
    remove_items,
)

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


def files_of(shop):
    return sorted(shop.glob("shard-*")) if shop.is_dir() else [shop]
