"""`cmpc index to-faiss` and `from-faiss`: out and back, and what is said of a wrong file."""

import json

import faiss
import numpy as np
import pytest
from click.testing import CliRunner

from cmpc.cli import command_line
from cmpc_kernels import GalleryIndex
from cmpc_search.gallery.importing import GallerySources, import_gallery


def invoke(*arguments):
    return CliRunner().invoke(command_line, ["index", *map(str, arguments)])


@pytest.fixture
def shop(tmp_path):
    """A saved index and its rows."""
    rows = np.random.default_rng(7).standard_normal((60, 16)).astype(np.float32)
    GalleryIndex.build(rows, "cosine").save(tmp_path / "shop.index")
    return tmp_path / "shop.index", rows


def test_an_index_goes_into_a_faiss_file_and_back(shop, tmp_path):
    index_path, rows = shop
    out = invoke("to-faiss", index_path, tmp_path / "shop.faiss", "--json")
    back = invoke(
        "from-faiss", tmp_path / "shop.faiss", tmp_path / "new" / "back.index", "--metric", "cosine"
    )

    assert (out.exit_code, back.exit_code) == (0, 0), out.stderr + back.stderr
    assert json.loads(out.stdout)["num_items"] == 60
    assert faiss.read_index(str(tmp_path / "shop.faiss")).ntotal == 60
    found = GalleryIndex.load(tmp_path / "new" / "back.index").search(rows, 3)
    np.testing.assert_array_equal(found.ids, GalleryIndex.load(index_path).search(rows, 3).ids)


def test_rows_from_a_faiss_file_are_told_whose_they_are(shop, tmp_path):
    index_path, rows = shop
    assert invoke("to-faiss", index_path, tmp_path / "shop.faiss").exit_code == 0
    (tmp_path / "names.txt").write_text("".join(f"{n}\n" for n in range(60)))
    galleries = {}
    for name, given in (("own", rows), ("narrow", rows[:, :8])):
        np.save(tmp_path / f"{name}.npy", given)
        sources = GallerySources(
            embeddings_path=tmp_path / f"{name}.npy", ids_path=tmp_path / "names.txt"
        )
        galleries[name] = import_gallery(tmp_path / name, sources)
    reading = ("from-faiss", tmp_path / "shop.faiss", tmp_path / "back.index", "--gallery")

    refused = invoke(*reading, galleries["narrow"].path)
    assert (refused.exit_code, "have 8" in refused.stderr) == (2, True)
    assert not (tmp_path / "back.index").exists()
    assert invoke(*reading, galleries["own"].path).exit_code == 0
    found = GalleryIndex.load(tmp_path / "back.index")
    assert found.network_sha256 == galleries["own"].network_sha256


def test_a_file_that_is_none_of_faiss_is_told_in_one_line(shop, tmp_path):
    result = invoke("from-faiss", shop[0], tmp_path / "back.index")

    assert result.exit_code == 1
    assert "must be a FAISS index" in result.stderr
    assert not (tmp_path / "back.index").exists()
