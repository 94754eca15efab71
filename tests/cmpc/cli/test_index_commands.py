"""What `cmpc index build` and `info` write and say; `cmpc query` is tested with bundles."""

import importlib.metadata
import json
import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch
import torch
from index_command_line import document, invoke, write_items
from PIL import Image

from cmpc_kernels import open_index
from cmpc_kernels.gallery.index_file import IndexFile
from cmpc_search.data import load_image_set
from cmpc_search.embeddings import Embeddings, read_embeddings, write_embeddings
from cmpc_search.gallery.importing import GallerySources, import_gallery


@pytest.mark.parametrize("shards", [[], ["--rows-per-shard", 2]])
def test_each_item_keeps_its_own_name_and_label(shards, tmp_path):
    names, labels = ("e", "a", "d", "b", "c"), np.array([4, 0, 3, 1, 2])
    rows = np.eye(5, 16, dtype=np.float32)
    path = tmp_path / "shop.safetensors"
    write_embeddings(path, Embeddings(rows=rows, item_names=names, labels=labels))

    told = document("build", path, "--out", tmp_path / "shop", *shards)

    index = open_index(tmp_path / "shop")
    nearest = index.search(rows, 1).ids[:, 0]
    assert told["has_names"]
    assert told["has_labels"]
    assert index.names_of(nearest) == list(names)
    assert index.labels_of(nearest).tolist() == labels.tolist()


def made_gallery(folder, rows):
    """A gallery of ready embeddings."""
    np.save(folder.with_suffix(".npy"), rows)
    names = folder.with_suffix(".names")
    names.write_text("".join(f"item {n}\n" for n in range(len(rows))))
    sources = GallerySources(embeddings_path=folder.with_suffix(".npy"), ids_path=names)
    return import_gallery(folder, sources)


@pytest.mark.parametrize("start", [[], ["build"]])
def test_build_is_what_happens_when_no_command_is_named(start, embeddings, tmp_path):
    built = document(*start, embeddings, "--out", tmp_path / "a" / "shop.index")

    assert (built["num_items"], built["mode"], built["storage"]) == (60, "exact", "float32")
    assert len(open_index(tmp_path / "a" / "shop.index")) == 60


def test_the_gallery_side_is_that_of_the_split_that_the_gallery_was_made_with(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(36):
        path = tmp_path / "data" / f"class {number // 3}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    cache = tmp_path / "cache"
    then, now = (
        load_image_set(tmp_path / "data", size_px=8, cache_dir=cache, seed=seed) for seed in (5, 0)
    )
    rows = rng.standard_normal((36, 16)).astype(np.float32)
    write_embeddings(
        tmp_path / "rows.safetensors", Embeddings(rows=rows, item_names=then.item_names)
    )
    sources = GallerySources(embeddings_path=tmp_path / "rows.safetensors", split_seed=5)
    gallery = import_gallery(tmp_path / "gallery", sources)

    document(
        *("build", gallery.path, "--data", tmp_path / "data", "--cache-dir", cache),
        *("--out", tmp_path / "shop.index"),
    )

    indexed = set(open_index(tmp_path / "shop.index").item_names)
    answering, other = (
        {one.item_names[position] for position in one.select(role="gallery")} for one in (then, now)
    )
    assert indexed == answering != other


def test_info_says_what_build_said_and_what_queries_must_be(embeddings, tmp_path):
    built = document("build", embeddings, "--out", tmp_path / "shop.index")

    found = document("info", tmp_path / "shop.index", "--verify")

    contract = found.pop("query_contract")
    assert found == built
    assert (contract["dimension"], contract["network_sha256"]) == (16, "ab" * 32)
    assert found["written_by"] == f"cmpc {importlib.metadata.version('cmpc')}"
    assert 4 * 16 < found["bytes_per_vector"] < 8 * 16


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
def test_codes_alone_are_smaller_and_their_recall_is_told(storage, embeddings, tmp_path):
    exact = document("build", embeddings, "--out", tmp_path / "exact.index")
    codes = document(
        *("build", embeddings, "--out", tmp_path / "codes.index"),
        *("--mode", "codes", "--storage", storage),
    )

    assert codes["bytes_per_vector"] < exact["bytes_per_vector"] / 3
    assert 0 < codes["recall_at_10"] <= 1
    assert codes["num_recall_queries"] == 30


@pytest.mark.parametrize("shards", [[], ["--rows-per-shard", 25]])
@pytest.mark.parametrize(("engine", "effort"), [("ivf", 16), ("hnsw", 64)])
def test_what_faiss_searches_is_built_told_changed_and_asked_as_any_index(
    engine, effort, shards, embeddings, tmp_path
):
    path = tmp_path / "shop"
    built = invoke("build", embeddings, "--out", path, "--engine", engine, *shards, "--json")
    assert built.exit_code == 0, built.stderr
    told = json.loads(built.stdout)
    assert (told["engine"], told["effort"], told["num_items"]) == (engine, effort, 60)
    assert 0.5 < told["recall_at_10"] <= 1
    assert "exact 10 nearest, measured over 30 queries" in built.stderr

    document("add", path, write_items(tmp_path / "new.safetensors", ["new/1", "new/2"]))
    (tmp_path / "gone.txt").write_text("item/0\nnew/1\n")
    document("remove", path, tmp_path / "gone.txt")
    assert document("recode", path)["num_recoded"] == 60

    assert document("info", path, "--verify")["engine"] == engine
    index = open_index(path)
    rows = read_embeddings(tmp_path / "new.safetensors").rows
    assert index.names_of(index.search(rows[1:], 1).ids[:, 0]) == ["new/2"]
    assert index.ids_of(["item/0", "new/1"]).size == 0


def test_a_graph_is_made_anew_only_when_much_was_removed_or_compact_says_so(embeddings, tmp_path):
    path = tmp_path / "shop.index"
    document("build", embeddings, "--out", path, "--engine", "hnsw")
    places = []
    for first, count in ((0, 2), (2, 20), (22, 1)):
        gone = "".join(f"item/{n}\n" for n in range(first, first + count))
        (tmp_path / "gone.txt").write_text(gone)
        document("remove", path, tmp_path / "gone.txt")
        places.append(IndexFile.open(path).facts["num_rows"])
    document("compact", path)

    assert places == [60, 38, 38]
    assert IndexFile.open(path).facts["num_rows"] == len(open_index(path)) == 37


def test_bare_rows_are_indexed_from_a_mapped_file(tmp_path):
    np.save(tmp_path / "rows.npy", np.eye(4, dtype=np.float32))

    built = document(tmp_path / "rows.npy", "--out", tmp_path / "rows.index")

    assert (built["num_items"], built["has_names"]) == (4, False)


def test_a_build_that_was_killed_is_begun_again_in_its_folder(embeddings, tmp_path):
    path = tmp_path / "shop"
    killed = f"""
import os, signal, numpy
from cmpc_kernels import ShardedIndex
def embeddings():
    yield numpy.ones((40, 16), numpy.float32)
    os.kill(os.getpid(), signal.SIGKILL)
ShardedIndex.build({str(path)!r}, embeddings(), rows_per_shard=20)
"""
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == -9
    left = set(path.iterdir())
    assert len(left) == 2

    build = ("build", embeddings, "--out", path, "--rows-per-shard", 25)
    assert document(*build)["num_files"] == 3
    assert len(list(path.iterdir())) == 4
    assert not left & set(path.iterdir())
    again = invoke(*build)
    assert (again.exit_code, "new or empty folder" in again.stderr) == (2, True)


@pytest.mark.parametrize("others", ["", "notes.txt", "manifest-3.json"])
def test_shards_that_no_killed_build_left_are_not_built_over(others, embeddings, tmp_path):
    path = tmp_path / "shop"
    document("build", embeddings, "--out", path, "--rows-per-shard", 25)
    (path / "manifest-1.json").rename(path / (others or "../manifest-1.json"))
    if others:
        (path / ".lock").touch()
    before = set(path.iterdir())

    result = invoke("build", embeddings, "--out", path, "--rows-per-shard", 25)

    assert (result.exit_code, "new or empty folder" in result.stderr) == (2, True)
    assert set(path.iterdir()) == before


def test_bare_rows_get_names_and_a_network_where_they_are_indexed(tmp_path):
    rows = np.eye(4, dtype=np.float32)
    np.save(tmp_path / "SHOP.NPY.npy", rows)
    (tmp_path / "SHOP.NPY.npy").rename(tmp_path / "SHOP.NPY")
    (tmp_path / "shop.txt").write_text("a\nb\nc\nd\n")
    gallery = made_gallery(tmp_path / "gallery", rows)
    given = (
        tmp_path / "SHOP.NPY",
        "--out",
        tmp_path / "shop.index",
        "--ids",
        tmp_path / "shop.txt",
    )

    anonymous = invoke(*given)
    built = document(*given, "--gallery", gallery.path)

    assert "build with --gallery" in anonymous.stderr
    assert built["network_sha256"] == gallery.network_sha256
    opened = open_index(tmp_path / "shop.index")
    assert list(opened.item_names) == ["a", "b", "c", "d"]
    (tmp_path / "more.txt").write_text("e\nf\ng\nh\n")
    unnamed = invoke("add", tmp_path / "shop.index", tmp_path / "SHOP.NPY")
    assert (unnamed.exit_code, "name the new ones with --ids" in unnamed.stderr) == (2, True)
    added = document(
        *("add", tmp_path / "shop.index", tmp_path / "SHOP.NPY", "--ids", tmp_path / "more.txt")
    )
    assert added["num_items"] == 8


def test_a_gallery_that_can_not_have_made_the_rows_is_refused(embeddings, tmp_path):
    np.save(tmp_path / "wide.npy", np.eye(5, dtype=np.float32))
    np.save(tmp_path / "sixteen.npy", np.eye(16, dtype=np.float32))
    gallery = made_gallery(tmp_path / "gallery", np.eye(16, dtype=np.float32))

    for source, message in [
        (tmp_path / "wide.npy", "they have 5 dimensions, those of"),
        (embeddings, "must be that of the embeddings' network abab"),
    ]:
        result = invoke(source, "--out", tmp_path / "x.index", "--gallery", gallery.path)
        assert result.exit_code == 2
        assert message in result.stderr
    assert not (tmp_path / "x.index").exists()


@pytest.mark.parametrize("dtype", ["float64", "float16", ">f4", "bfloat16", "float8_e4m3fn"])
def test_embeddings_of_every_floating_point_type_are_indexed(dtype, tmp_path):
    rows = np.eye(4, dtype=np.float32)
    if dtype in ("bfloat16", "float8_e4m3fn"):
        path = tmp_path / "rows.safetensors"
        narrow = torch.from_numpy(rows).to(getattr(torch, dtype))
        safetensors.torch.save_file({"embeddings": narrow}, path)
    else:
        path = tmp_path / "rows.npy"
        np.save(path, rows.astype(dtype))

    document(path, "--out", tmp_path / "rows.index")

    np.testing.assert_array_equal(open_index(tmp_path / "rows.index").rows, rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mode", "codes", "--storage", "float16"], "keeps int8 or binary"),
        (["--out", "."], "must be a file"),
        (["--engine", "ivf", "--mode", "exact"], "leave it out with ivf"),
        (["--engine", "hnsw", "--storage", "int8"], "keeps float32"),
        (["--effort", 5], "left out in exact mode"),
    ],
)
def test_what_does_not_fit_is_refused(options, message, embeddings, tmp_path):
    result = invoke("build", embeddings, "--out", tmp_path / "shop.index", *options)

    assert result.exit_code == 2
    assert message in result.stderr


def test_info_on_something_else_says_so(embeddings, tmp_path):
    for path, message in [
        (embeddings, "must begin with 'cmpcgidx'"),
        (tmp_path, "must hold the manifest"),
    ]:
        result = invoke("info", path)
        assert result.exit_code == 1
        assert message in result.stderr
