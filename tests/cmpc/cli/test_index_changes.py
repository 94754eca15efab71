"""What `cmpc index add`, `remove`, `compact` and `recode` change, and leave."""

import subprocess
import sys

import numpy as np
import pytest
from index_command_line import document, invoke, write_items

from cmpc_kernels import open_index
from cmpc_search.embeddings import Embeddings, write_embeddings


@pytest.mark.parametrize("shards", [[], ["--rows-per-shard", 25]])
def test_items_come_and_go_and_the_others_keep_their_ids(shards, embeddings, tmp_path):
    path = tmp_path / "shop"
    document("build", embeddings, "--out", path, *shards)
    (tmp_path / "gone.txt").write_text("item/0\nitem/41\n")

    num_bytes = document("info", path)["num_bytes"]
    assert document("remove", path, tmp_path / "gone.txt")["num_items"] == 58
    told = document("info", path)
    assert told["num_files"] == (3 if shards else 1)  # those that were replaced do not count
    assert told["num_bytes"] < 1.5 * num_bytes
    again = write_items(tmp_path / "again.safetensors", ["item/0", "item/60"])
    assert document("add", path, again)["num_items"] == 60

    opened = open_index(path)
    assert opened.names_of([1, 40, 42, 59, 60, 61]) == [
        *("item/1", "item/40", "item/42", "item/59", "item/0", "item/60")
    ]
    assert 41 not in opened.ids


@pytest.mark.parametrize("shards", [[], ["--rows-per-shard", 25]])
def test_items_that_are_there_are_not_added_again(shards, embeddings, tmp_path):
    path = tmp_path / "shop"
    document("build", embeddings, "--out", path, *shards)
    more = write_items(tmp_path / "more.safetensors", ["item/new", "item/7"])

    result = invoke("add", path, more)

    assert result.exit_code == 2
    assert "1 of 2 are, such as 'item/7'; remove them first" in result.stderr
    assert len(open_index(path)) == 60


@pytest.mark.slow
@pytest.mark.parametrize("shards", [[], ["--rows-per-shard", 300]])
def test_what_programs_add_and_remove_at_once_all_happens(shards, embeddings, tmp_path):
    path, count = tmp_path / "shop", 50
    document("build", embeddings, "--out", path, *shards)
    (tmp_path / "gone.txt").write_text("item/0\nitem/7\n")
    sources = [
        write_items(tmp_path / f"{n}.safetensors", [f"new/{n}/{item}" for item in range(count)])
        for n in range(3)
    ]
    changing = "import sys; from cmpc.cli import command_line; command_line(sys.argv[1:])"
    changes = [*(["add", path, source] for source in sources), ["remove", path, "gone.txt"]]

    programs = [
        subprocess.Popen([sys.executable, "-c", changing, "index", *change], cwd=tmp_path)
        for change in changes
    ]

    assert [program.wait(timeout=120) for program in programs] == [0, 0, 0, 0]
    opened = open_index(path)
    assert len(set(opened.item_names)) == len(opened) == 60 + 3 * count - 2
    assert not {"item/0", "item/7"} & set(opened.item_names)
    assert not list(tmp_path.rglob("*lock"))


@pytest.mark.parametrize("shards", [[], ["--rows-per-shard", 25]])
def test_codes_are_made_anew_unless_there_is_nothing_to_make_them_of(shards, embeddings, tmp_path):
    document("build", embeddings, "--out", tmp_path / "exact", *shards)
    document("build", embeddings, "--out", tmp_path / "codes", "--mode", "codes", *shards)

    told = document("recode", tmp_path / "exact")
    refused = invoke("recode", tmp_path / "codes")

    assert (told["num_recoded"], told["num_items"]) == (60, 60)
    assert (refused.exit_code, "keeps nothing else" in refused.stderr) == (2, True)


def test_one_file_of_a_folder_of_shards_is_not_changed_alone(embeddings, tmp_path):
    path = tmp_path / "shop"
    document("build", embeddings, "--out", path, "--rows-per-shard", 25)
    shard = min(path.glob("shard-*.index"))
    more = write_items(tmp_path / "more.safetensors", ["new"])
    (tmp_path / "gone.txt").write_text("item/0\n")

    for arguments in [
        ("add", shard, more),
        ("remove", shard, tmp_path / "gone.txt"),
        ("build", embeddings, "--out", shard),
    ]:
        result = invoke(*arguments)
        assert (result.exit_code, "name the folder" in result.stderr) == (2, True)
    assert document("info", path, "--verify")["num_items"] == 60


def test_what_is_not_there_cannot_be_removed_and_what_is_foreign_not_added(embeddings, tmp_path):
    path = tmp_path / "shop.index"
    document("build", embeddings, "--out", path)
    (tmp_path / "gone.txt").write_text("item/0\nitem/60\n")
    foreign = Embeddings(rows=np.ones((1, 16), np.float32), item_names=("a",), network_sha256="cd")
    write_embeddings(tmp_path / "foreign.safetensors", foreign)

    for arguments, message in [
        (("remove", path, tmp_path / "gone.txt"), "such as 'item/60'"),
        (("add", path, tmp_path / "foreign.safetensors"), "got those of cd"),
    ]:
        result = invoke(*arguments)
        assert result.exit_code == 2
        assert message in result.stderr
    assert len(open_index(path)) == 60


@pytest.mark.parametrize("shards", [[], ["--rows-per-shard", 2]])
def test_items_without_names_go_by_their_ids(shards, tmp_path):
    path = tmp_path / "shop"
    np.save(tmp_path / "rows.npy", np.eye(5, dtype=np.float32))
    document(tmp_path / "rows.npy", "--out", path, *shards)
    (tmp_path / "wrong.txt").write_text("1\n01\n5\n-1\n" + "9" * 30 + "\n")
    (tmp_path / "gone.txt").write_text("3\n1\n")

    refused = invoke("remove", path, tmp_path / "wrong.txt")

    assert (refused.exit_code, "got 4 in" in refused.stderr) == (2, True)
    assert document("remove", path, tmp_path / "gone.txt")["num_removed"] == 2
    assert open_index(path).ids.tolist() == [0, 2, 4]


def test_the_list_of_what_goes_is_read_like_any_list_of_names(embeddings, tmp_path):
    path = tmp_path / "shop.index"
    document("build", embeddings, "--out", path)
    (tmp_path / "gone.txt").write_bytes(b"\xef\xbb\xbfitem/0\r\nitem/41\r\n")
    (tmp_path / "latin.txt").write_bytes("item/1\ncafé\n".encode("latin-1"))

    refused = invoke("remove", path, tmp_path / "latin.txt")

    assert (refused.exit_code, "UTF-8" in refused.stderr) == (2, True)
    assert document("remove", path, tmp_path / "gone.txt")["num_items"] == 58


def test_small_shards_are_joined_and_every_item_keeps_its_name_and_id(embeddings, tmp_path):
    path = tmp_path / "shop"
    document("build", embeddings, "--out", path, "--rows-per-shard", 10)
    (tmp_path / "gone.txt").write_text("".join(f"item/{n}\n" for n in range(5, 25)))
    document("remove", path, tmp_path / "gone.txt")
    before = open_index(path)

    told = document("compact", path)
    assert (told["num_files"], told["num_items"]) == (4, 40)
    assert document("compact", path, "--rows-per-shard", 40)["num_files"] == 1

    opened = open_index(path)
    assert opened.ids.tolist() == before.ids.tolist()
    assert list(opened.item_names) == list(before.item_names)


def test_a_file_is_compacted_too_and_has_no_shards(embeddings, tmp_path):
    path = tmp_path / "shop.index"
    document("build", embeddings, "--out", path)
    index = open_index(path)
    index.remove(range(10))
    index.save(path)
    num_bytes = path.stat().st_size

    assert document("compact", path)["num_items"] == 50
    assert path.stat().st_size < num_bytes
    refused = invoke("compact", path, "--rows-per-shard", 7)
    assert (refused.exit_code, "is one file" in refused.stderr) == (2, True)
