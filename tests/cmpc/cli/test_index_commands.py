"""What `cmpc index` writes and says of it; `cmpc query` is tested with bundles."""

import importlib.metadata
import json
import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch
import torch
from click.testing import CliRunner
from PIL import Image

from cmpc.cli import command_line
from cmpc_kernels import open_index
from cmpc_search.data import load_image_set
from cmpc_search.embeddings import Embeddings, read_embeddings, write_embeddings
from cmpc_search.gallery.importing import GallerySources, import_gallery


@pytest.fixture
def embeddings(tmp_path):
    rows = np.random.default_rng(7).standard_normal((60, 16)).astype(np.float32)
    names = tuple(f"item/{n}" for n in range(60))
    path = tmp_path / "shop.safetensors"
    write_embeddings(path, Embeddings(rows=rows, item_names=names, network_sha256="ab" * 32))
    return path


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


def write_items(path, names):
    rows = np.random.default_rng(len(names)).standard_normal((len(names), 16)).astype(np.float32)
    write_embeddings(path, Embeddings(rows=rows, item_names=tuple(names)))
    return path


def made_gallery(folder, rows):
    """A gallery of ready embeddings."""
    np.save(folder.with_suffix(".npy"), rows)
    names = folder.with_suffix(".names")
    names.write_text("".join(f"item {n}\n" for n in range(len(rows))))
    sources = GallerySources(embeddings_path=folder.with_suffix(".npy"), ids_path=names)
    return import_gallery(folder, sources)


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
def test_fast_mode_is_smaller_and_tells_its_recall(storage, embeddings, tmp_path):
    exact = document("build", embeddings, "--out", tmp_path / "exact.index")
    fast = document(
        *("build", embeddings, "--out", tmp_path / "fast.index"),
        *("--mode", "fast", "--storage", storage),
    )

    assert fast["bytes_per_vector"] < exact["bytes_per_vector"] / 3
    assert 0 < fast["recall_at_10"] <= 1
    assert fast["num_recall_queries"] == 30


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


def test_bare_rows_are_indexed_from_a_mapped_file(tmp_path):
    np.save(tmp_path / "rows.npy", np.eye(4, dtype=np.float32))

    built = document(tmp_path / "rows.npy", "--out", tmp_path / "rows.index")

    assert (built["num_items"], built["has_names"]) == (4, False)


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


@pytest.mark.parametrize("shards", [[], ["--rows-per-shard", 25]])
def test_codes_are_made_anew_unless_there_is_nothing_to_make_them_of(shards, embeddings, tmp_path):
    document("build", embeddings, "--out", tmp_path / "exact", *shards)
    document("build", embeddings, "--out", tmp_path / "fast", "--mode", "fast", *shards)

    told = document("recode", tmp_path / "exact")
    refused = invoke("recode", tmp_path / "fast")

    assert (told["num_recoded"], told["num_items"]) == (60, 60)
    assert (refused.exit_code, "keeps codes only" in refused.stderr) == (2, True)


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mode", "fast", "--storage", "float16"], "keeps int8 or binary"),
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
