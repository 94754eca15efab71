"""What `cmpc index` writes and says of it; `cmpc query` is tested with bundles."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from cmpc.cli import command_line
from cmpc_kernels import open_index
from cmpc_search.embeddings import Embeddings, write_embeddings


@pytest.fixture
def embeddings(tmp_path):
    rows = np.random.default_rng(7).standard_normal((60, 16)).astype(np.float32)
    names = tuple(f"item/{n}" for n in range(60))
    path = tmp_path / "shop.safetensors"
    write_embeddings(path, Embeddings(rows=rows, item_names=names, network_sha256="ab" * 32))
    return path


def invoke(*arguments):
    return CliRunner().invoke(command_line, ["index", *map(str, arguments)])


def document(*arguments):
    result = invoke(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("start", [[], ["build"]])
def test_build_is_what_happens_when_no_command_is_named(start, embeddings, tmp_path):
    built = document(*start, embeddings, "--out", tmp_path / "a" / "shop.index")

    assert (built["num_items"], built["mode"], built["storage"]) == (60, "exact", "float32")
    assert len(open_index(tmp_path / "a" / "shop.index")) == 60


def test_info_says_what_build_said_and_what_queries_must_be(embeddings, tmp_path):
    built = document("build", embeddings, "--out", tmp_path / "shop.index")

    found = document("info", tmp_path / "shop.index", "--verify")

    contract = found.pop("query_contract")
    assert found == built
    assert (contract["dimension"], contract["network_sha256"]) == (16, "ab" * 32)
    assert found["bytes_per_vector"] > 4 * 16


def test_shards_are_a_folder_that_finds_the_same(embeddings, tmp_path):
    document("build", embeddings, "--out", tmp_path / "one.index", "--metric", "l2")
    sharded = document(
        *("build", embeddings, "--out", tmp_path / "many", "--metric", "l2"),
        *("--rows-per-shard", 25),
    )

    assert sharded["num_files"] == 3
    assert document("info", tmp_path / "many") | {"query_contract": 0} == sharded | {
        "query_contract": 0
    }
    one, many = open_index(tmp_path / "one.index"), open_index(tmp_path / "many")
    np.testing.assert_array_equal(one.search(one.rows, 5).ids, many.search(one.rows, 5).ids)


@pytest.mark.parametrize("storage", ["int8", "binary"])
def test_fast_mode_is_smaller_and_tells_its_recall(storage, embeddings, tmp_path):
    exact = document("build", embeddings, "--out", tmp_path / "exact.index")
    fast = document(
        *("build", embeddings, "--out", tmp_path / "fast.index"),
        *("--mode", "fast", "--storage", storage),
    )

    assert fast["bytes_per_vector"] < exact["bytes_per_vector"] / 3
    assert 0 < fast["recall_at_10"] <= 1
    assert fast["num_recall_queries"] == 30


def test_bare_rows_are_indexed_from_a_mapped_file(tmp_path):
    np.save(tmp_path / "rows.npy", np.eye(4, dtype=np.float32))

    built = document(tmp_path / "rows.npy", "--out", tmp_path / "rows.index")

    assert (built["num_items"], built["has_names"]) == (4, False)


@pytest.mark.parametrize("shards", [[], ["--rows-per-shard", 25]])
def test_items_come_and_go_and_the_others_keep_their_ids(shards, embeddings, tmp_path):
    path = tmp_path / "shop"
    document("build", embeddings, "--out", path, *shards)
    (tmp_path / "gone.txt").write_text("item/0\nitem/41\n")

    assert document("remove", path, tmp_path / "gone.txt")["num_items"] == 58
    assert document("add", path, embeddings)["num_items"] == 118

    opened = open_index(path)
    assert opened.names_of([1, 40, 42, 59, 60, 119]) == [
        *("item/1", "item/40", "item/42", "item/59", "item/0", "item/59")
    ]
    assert 41 not in opened.ids


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


def test_the_list_of_what_goes_is_read_like_any_list_of_names(embeddings, tmp_path):
    path = tmp_path / "shop.index"
    document("build", embeddings, "--out", path)
    (tmp_path / "gone.txt").write_bytes(b"\xef\xbb\xbfitem/0\r\nitem/41\r\n")
    (tmp_path / "latin.txt").write_bytes("item/1\ncafé\n".encode("latin-1"))

    refused = invoke("remove", path, tmp_path / "latin.txt")

    assert (refused.exit_code, "UTF-8" in refused.stderr) == (2, True)
    assert document("remove", path, tmp_path / "gone.txt")["num_items"] == 58


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mode", "fast", "--storage", "float16"], "keeps int8 or binary"),
        (["--out", "."], "must be a file"),
    ],
)
def test_what_does_not_fit_is_refused(options, message, embeddings, tmp_path):
    result = invoke("build", embeddings, "--out", tmp_path / "shop.index", *options)

    assert result.exit_code == 2
    assert message in result.stderr


def test_info_on_something_else_says_so(embeddings, tmp_path):
    for path, message in [(embeddings, "must begin with 'cmpcgidx'"), (tmp_path, "manifest.json")]:
        result = invoke("info", path)
        assert result.exit_code == 1
        assert message in result.stderr
