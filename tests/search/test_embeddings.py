"""What is written as embeddings is read back whole; a file that is something else is refused."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from cmpc.cli import command_line
from cmpc_kernels import GalleryIndex
from cmpc_search.embeddings import Embeddings, read_embeddings, write_embeddings
from cmpc_search.errors import BadEmbeddings

ROWS = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
WHOLE = Embeddings(
    rows=ROWS,
    item_names=("a/1", "b/ü", "c"),
    labels=np.array([4, 5, 4]),
    network_sha256="ab" * 32,
)


def test_names_labels_and_network_survive_the_file(tmp_path):
    write_embeddings(tmp_path / "some.safetensors", WHOLE)

    found = read_embeddings(tmp_path / "some.safetensors")

    np.testing.assert_array_equal(found.rows, ROWS)
    np.testing.assert_array_equal(found.labels, WHOLE.labels)
    assert (found.item_names, found.network_sha256) == (WHOLE.item_names, WHOLE.network_sha256)


def test_npy_holds_the_bare_rows(tmp_path):
    write_embeddings(tmp_path / "some.npy", WHOLE)

    np.testing.assert_array_equal(np.load(tmp_path / "some.npy", allow_pickle=False), ROWS)


def test_bare_rows_are_read_from_a_file_without_loading_it(tmp_path):
    write_embeddings(tmp_path / "some.npy", WHOLE)

    found = read_embeddings(tmp_path / "some.npy")

    assert isinstance(found.rows, np.memmap)
    np.testing.assert_array_equal(found.rows, ROWS)
    (tmp_path / "some.npy").write_bytes(b"and so on")
    with pytest.raises(BadEmbeddings, match="must be an array"):
        read_embeddings(tmp_path / "some.npy")


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        ({"rows": ROWS}, {}, r"must hold a tensor `embeddings`, got \['rows'\]"),
        ({"embeddings": ROWS}, {"item_names": '["a"]'}, "name each of its 3 rows, got 1"),
        ({"embeddings": ROWS}, {"item_names": "a, b, c"}, "must be a JSON list"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(tmp_path, tensors, metadata, message):
    save_file(tensors, tmp_path / "some.safetensors", metadata)

    with pytest.raises(BadEmbeddings, match=message):
        read_embeddings(tmp_path / "some.safetensors")


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "some.safetensors"
    path.write_bytes(b"\x89PNG and so on")

    with pytest.raises(BadEmbeddings, match="must be a safetensors file"):
        read_embeddings(path)


def test_an_index_finds_what_the_gallery_folder_holds(tmp_path):
    write_embeddings(tmp_path / "gallery" / "embeddings.safetensors", WHOLE)
    arguments = ["index", str(tmp_path / "gallery"), "--out", str(tmp_path / "g.index"), "--json"]

    result = CliRunner().invoke(command_line, arguments)

    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert (document["num_items"], document["dimension"]) == (3, 2)
    index = GalleryIndex.load(tmp_path / "g.index")
    nearest = index.search(np.array([[0.5, 0.9]], np.float32), 3).ids[0]
    assert [index.item_names[number] for number in nearest] == ["c", "b/ü", "a/1"]
    assert index.network_sha256 == WHOLE.network_sha256


def test_embeddings_that_are_not_numbers_are_the_users_error_not_a_bug(tmp_path):
    broken = Embeddings(rows=np.full((2, 2), np.nan, np.float32))
    write_embeddings(tmp_path / "some.safetensors", broken)
    arguments = ["index", str(tmp_path / "some.safetensors"), "--out", str(tmp_path / "g.index")]

    result = CliRunner().invoke(command_line, arguments)

    assert result.exit_code == 2
    assert "must be finite" in result.stderr
    assert not (tmp_path / "g.index").exists()
