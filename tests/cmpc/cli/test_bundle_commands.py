"""From a bundle to what it finds, with a network whose embeddings anybody can work out.

The network averages the pixels and scales the mean colour to unit length, so that a picture's
embedding is its colour. It is compiled and run by the real thing.
"""

import json
import os
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cmpc.cli import command_line
from cmpc_cost_models import Cost
from cmpc_cost_models.bundles.manifest import BundleContents
from cmpc_cost_models.bundles.preprocessing import Preprocessing
from cmpc_cost_models.bundles.writing import write_bundle
from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.graphs.writing import GraphWriter
from cmpc_cost_models.targets.table import find_target
from cmpc_search.data import load_image_set
from cmpc_search.embeddings import GALLERY_NETWORK_KEY, SPLIT_SEED_KEY, read_embeddings
from cmpc_search.gallery.importing import GallerySources, import_gallery

SIZE_PX = 8
COLOURS = {"red": (255, 0, 0), "leaf": (51, 204, 0), "sea": (0, 51, 204), "rust": (204, 51, 0)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a bundle, pictures of one colour each, and another bundle's space."""
    folder = tmp_path_factory.mktemp("bundle-commands")
    writer = GraphWriter("mean_colour", (1, 3, SIZE_PX, SIZE_PX))
    writer.save(folder / "net.onnx", writer.l2_normalise(writer.global_average_pool(writer.input)))
    target = find_target("host")
    compiled = compile_network(folder / "net.onnx", target, cache_dir=folder / "cache")
    preprocessing = Preprocessing(size_px=SIZE_PX, resize_filter="bilinear")
    for name, space in (("bundle", "ab" * 32), ("other", "cd" * 32)):
        contents = BundleContents(
            compiled=compiled,
            target=target,
            preprocessing=preprocessing,
            provenance={GALLERY_NETWORK_KEY: space},
        )
        write_bundle(folder / name, contents, with_runner=False)
    for name, colour in COLOURS.items():
        Image.new("RGB", (20, 20), colour).save(folder / f"{name}.png")
    return folder


def invoke(*arguments):
    return CliRunner().invoke(command_line, [str(argument) for argument in arguments])


def unit(name):
    colour = np.array(COLOURS[name], np.float64)
    return colour / np.linalg.norm(colour)


def test_run_embeds_pictures_as_worked_out_by_hand(folder):
    images = [folder / "red.png", folder / "leaf.png"]

    result = invoke("run", folder / "bundle", *images, "--out", folder / "e.npy", "--json")

    assert result.exit_code == 0, result.stderr
    expected = [unit("red"), unit("leaf")]
    shown = [row["embedding"] for row in json.loads(result.stdout)["embeddings"]]
    np.testing.assert_allclose(shown, expected, atol=1e-6)
    np.testing.assert_allclose(np.load(folder / "e.npy", allow_pickle=False), expected, atol=1e-6)


def test_a_picture_whose_name_is_no_text_is_embedded_under_its_bytes(folder, tmp_path):
    image = tmp_path / os.fsdecode(b"caf\xe9.png")
    shutil.copy(folder / "red.png", image)
    path = tmp_path / "e.safetensors"

    result = invoke("run", folder / "bundle", image, "--out", path, "--json")

    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["embeddings"][0]["image"].endswith(r"caf\xe9.png")
    assert read_embeddings(path).item_names[0].endswith(r"caf\xe9.png")
    np.testing.assert_allclose(read_embeddings(path).rows, [unit("red")], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "is_taken"), [("emb.csv", False), ("emb", False), ("E.NPY", True)]
)
def test_the_name_of_embeddings_says_what_they_are_or_is_refused(name, is_taken, folder, tmp_path):
    result = invoke("run", folder / "bundle", folder / "red.png", "--out", tmp_path / name)

    assert result.exit_code == (0 if is_taken else 2)
    assert [path.name for path in tmp_path.iterdir()] == ([name] if is_taken else [])
    if is_taken:
        assert np.load(tmp_path / name, allow_pickle=False).shape == (1, 3)


def test_a_picture_is_embedded_into_a_file_once(folder, tmp_path):
    images = [folder / "red.png", folder / "sea.png", folder / "red.png"]

    result = invoke("run", folder / "bundle", *images, "--out", tmp_path / "e.safetensors")

    assert (result.exit_code, "red.png again" in result.stderr) == (2, True)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def index(folder):
    """An index of three pictures, made with the same commands that a user would type."""
    images = [folder / f"{name}.png" for name in ("red", "leaf", "sea")]
    embeddings, index = folder / "gallery.safetensors", folder / "gallery.index"
    assert invoke("run", folder / "bundle", *images, "--out", embeddings).exit_code == 0
    assert invoke("index", embeddings, "--out", index).exit_code == 0
    assert read_embeddings(embeddings).network_sha256 == "ab" * 32
    return index


@pytest.mark.parametrize(
    ("field", "value"), [("version", 1), ("resize_filter", "bicubic"), ("background", [0, 0, 0])]
)
def test_a_bundle_whose_pictures_are_prepared_in_another_way_is_refused(
    folder, tmp_path, field, value
):
    bundle = shutil.copytree(folder / "bundle", tmp_path / "bundle")
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["preprocessing"][field] = value
    (bundle / "manifest.json").write_text(json.dumps(manifest))

    result = invoke("run", bundle, folder / "red.png")

    assert result.exit_code == 1
    assert f"prepared with {field}" in result.stderr


@pytest.mark.parametrize(
    ("is_measured", "said"),
    [(False, "UNMEASURED, measuring it failed"), (True, "unstable"), (True, "the machine is busy")],
)
def test_building_what_nobody_could_measure_well_is_said_and_ends_with_3(
    folder, tmp_path, monkeypatch, is_measured, said
):
    compiled = compile_network(folder / "net.onnx", find_target("host"), cache_dir=folder)
    sha256 = compiled.sha256
    cost = Cost(name="latency", value=0.5, unit="ms", source="measured", artefact_sha256=sha256)
    contents = BundleContents(
        compiled=compiled,
        target=find_target("host"),
        preprocessing=Preprocessing(size_px=SIZE_PX, resize_filter="bilinear"),
        provenance={"architecture": "mean"},
        cost=cost if is_measured else None,
        cost_doubts=("the machine is busy",) if is_measured else (),
        why_unmeasured=None if is_measured else "measuring it failed",
    )
    bundle = write_bundle(tmp_path / "bundle", contents, with_runner=False)
    monkeypatch.setattr("cmpc_search.runs.reopen_run", lambda path: path)
    monkeypatch.setattr("cmpc_search.stages.bundling.build_bundle", lambda *_: bundle)

    result = invoke("build", folder, "--out", tmp_path / "bundle", "--json")

    assert result.exit_code == 3
    assert said in result.stderr
    told = json.loads(result.stdout)
    assert (told["latency_ms"], told["latency_is_stable"], told["latency_source"]) == (
        (0.5, False, "measured") if is_measured else (None, None, None)
    )


def test_what_is_no_bundle_is_neither_taken_for_one_nor_overwritten(folder, tmp_path):
    (tmp_path / "manifest.json").write_text('{"schema_version": 1, "sessions": []}')  # as of a run

    built = invoke("build", folder, "--out", tmp_path)
    asked = invoke("run", tmp_path, folder / "red.png")

    assert (built.exit_code, "must be a new or empty folder" in built.stderr) == (2, True)
    assert "must be a bundle made by `cmpc build`, its manifest.json lacks 'files'" in asked.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_query_finds_the_nearest_colour_first(folder, index):
    result = invoke(
        "query", index, folder / "rust.png", "--bundle", folder / "bundle", "-k", 2, "--json"
    )

    assert result.exit_code == 0, result.stderr
    (answer,) = json.loads(result.stdout)["answers"]
    assert [found["item"] for found in answer["neighbours"]] == [
        str(folder / "red.png"),
        str(folder / "leaf.png"),
    ]
    assert answer["neighbours"][0]["score"] == pytest.approx(unit("rust") @ unit("red"), abs=1e-6)


def test_a_sample_is_drawn_from_those_who_asked_when_the_network_was_trained(
    folder, index, tmp_path
):
    rng = np.random.default_rng(0)
    for label in range(12):
        (tmp_path / "data" / f"class {label}").mkdir(parents=True)
        for number in range(3):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / f"class {label}" / f"{number}.png")
    contents = BundleContents(
        compiled=compile_network(
            folder / "net.onnx", find_target("host"), cache_dir=folder / "cache"
        ),
        target=find_target("host"),
        preprocessing=Preprocessing(size_px=SIZE_PX, resize_filter="bilinear"),
        provenance={GALLERY_NETWORK_KEY: "ab" * 32, SPLIT_SEED_KEY: 5},
    )
    write_bundle(tmp_path / "bundle", contents, with_runner=False)
    asking = {
        seed: load_image_set(
            tmp_path / "data", size_px=SIZE_PX, cache_dir=tmp_path / "cache", seed=seed
        )
        for seed in (0, 5)
    }
    then, now = (
        {one.item_names[position] for position in one.select(split="test", role="query")}
        for one in (asking[5], asking[0])
    )

    result = invoke(
        *("query", index, "--bundle", tmp_path / "bundle", "--data", tmp_path / "data", "--json"),
        *("--sample", len(then), "--cache-dir", tmp_path / "cache"),
    )

    assert result.exit_code == 0, result.stderr
    assert {one["query"] for one in json.loads(result.stdout)["answers"]} == then != now


def test_a_query_whose_name_is_no_text_is_answered_in_text_json_and_a_picture(
    folder, index, tmp_path
):
    image = tmp_path / os.fsdecode(b"caf\xe9.png")
    shutil.copy(folder / "rust.png", image)
    asking = ("query", index, image, "--bundle", folder / "bundle", "-k", 2)

    as_text = invoke(*asking, "--picture", tmp_path / os.fsdecode(b"\xfc.png"))
    as_json = invoke(*asking, "--json")

    assert (as_text.exit_code, as_json.exit_code) == (0, 0), as_text.stderr + as_json.stderr
    assert r"caf\xe9.png" in as_text.stdout
    assert r"\xfc.png" in as_text.stderr
    assert json.loads(as_json.stdout)["answers"][0]["query"].endswith(r"caf\xe9.png")


@pytest.mark.parametrize("engine", ["ivf", "hnsw"])
def test_query_asks_an_index_that_faiss_searches(engine, folder, index, tmp_path):
    built = invoke(
        *("index", folder / "gallery.safetensors", "--out", tmp_path / "shop.index"),
        *("--engine", engine),
    )
    assert built.exit_code == 0, built.stderr
    asking = (folder / "rust.png", "--bundle", folder / "bundle", "-k", 5, "--json")

    told, exact = (
        json.loads(invoke("query", path, *asking).stdout)["answers"]
        for path in (tmp_path / "shop.index", index)
    )

    for one, other in zip(told[0]["neighbours"], exact[0]["neighbours"], strict=True):
        assert one["item"] == other["item"]
        assert one["score"] == pytest.approx(other["score"], abs=1e-6)


def test_a_query_can_be_restricted_to_named_items(folder, index):
    (folder / "allowed.txt").write_text(f"{folder / 'sea.png'}\nunheard of\n")

    result = invoke(
        *("query", index, folder / "rust.png", "--bundle", folder / "bundle"),
        *("--allow", folder / "allowed.txt", "--json"),
    )

    assert result.exit_code == 0, result.stderr
    (answer,) = json.loads(result.stdout)["answers"]
    assert [found["item"] for found in answer["neighbours"]] == [str(folder / "sea.png")]
    assert "1 of 2 names" in result.stderr


@pytest.mark.parametrize("allowed", [[], ["--allow", "allowed.txt"]], ids=["all", "some"])
def test_answers_are_certified_and_the_certificate_is_checked(
    allowed, folder, index, tmp_path, monkeypatch
):
    monkeypatch.chdir(folder)
    (folder / "allowed.txt").write_text(f"{folder / 'sea.png'}\n{folder / 'leaf.png'}\n")
    asking = ("query", index, folder / "rust.png", "--bundle", folder / "bundle", *allowed)
    path = tmp_path / "why.json"

    asked = invoke(*asking, "-k", 2, "--certificate", path)
    assert asked.exit_code == 0, asked.stderr
    checked = invoke("index", "verify", index, path, "--json")
    again = invoke(*asking, "-k", 1, "--certificate", path)  # it takes the place of an older one
    path.write_text(path.read_text().replace('"num_scored": ', '"num_scored": 1'))
    altered = invoke("index", "verify", index, path)
    path.write_text("{}")
    in_the_way = invoke(*asking, "--certificate", path)

    told = json.loads(checked.stdout)
    assert (told["num_exact_answers"], told["k"], again.exit_code) == (1, 2, 0)
    assert (altered.exit_code, "search again" in altered.stderr) == (1, True)
    assert (in_the_way.exit_code, "replaces a certificate only" in in_the_way.stderr) == (2, True)


def test_query_draws_what_it_found_and_keeps_the_table_pure(folder, index):
    picture = folder / "found.png"

    result = invoke(
        *("query", index, folder / "rust.png", folder / "sea.png"),
        *("--bundle", folder / "bundle", "-k", 2, "--picture", picture),
    )

    assert result.exit_code == 0, result.stderr
    assert str(picture) in result.stderr
    assert str(picture) not in result.stdout
    colours = {tuple(pixel) for pixel in np.asarray(Image.open(picture)).reshape(-1, 3)}
    assert {COLOURS["rust"], COLOURS["sea"]} <= colours  # the queries
    assert COLOURS["red"] not in colours  # an item: its name is that of a file, and only a name


def test_a_bundle_for_another_gallery_network_is_refused(folder, index):
    result = invoke("query", index, folder / "rust.png", "--bundle", folder / "other")

    assert result.exit_code == 2
    assert "ab" * 32 in result.stderr
    assert "cd" * 32 in result.stderr


@pytest.mark.parametrize("k", [10**12, 2**63, 0])
def test_a_query_for_more_than_anybody_can_look_at_is_wrong_usage(k, folder, index):
    result = invoke("query", index, folder / "red.png", "--bundle", folder / "bundle", "-k", k)

    assert result.exit_code == 2
    assert "1<=x<=10000" in result.stderr


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b""], ids=["byte order mark", "plain"])
def test_the_list_of_what_a_query_may_find_is_read_like_any_list_of_names(
    start, folder, index, tmp_path
):
    sea = str(folder / "sea.png").encode()
    (tmp_path / "allowed.txt").write_bytes(start + sea + b"\r\n")
    (tmp_path / "latin.txt").write_bytes("café\n".encode("latin-1"))
    asking = ("query", index, folder / "rust.png", "--bundle", folder / "bundle", "--json")

    result = invoke(*asking, "--allow", tmp_path / "allowed.txt")
    refused = invoke(*asking, "--allow", tmp_path / "latin.txt")

    (answer,) = json.loads(result.stdout)["answers"]
    assert [found["item"] for found in answer["neighbours"]] == [str(folder / "sea.png")]
    assert refused.exit_code == 2
    assert "latin.txt must be a text file of names in UTF-8" in refused.stderr


def test_an_index_of_bare_rows_can_be_asked_once_it_is_told_whose_they_are(folder, tmp_path):
    np.save(tmp_path / "rows.npy", np.array([unit("red"), unit("sea")], np.float32))
    (tmp_path / "names.txt").write_text("red\nsea\n")
    sources = GallerySources(embeddings_path=tmp_path / "rows.npy", ids_path=tmp_path / "names.txt")
    gallery = import_gallery(tmp_path / "gallery", sources)
    record = gallery.record.to_json() | {"network_sha256": "ab" * 32}  # that of the bundle
    (gallery.path / "gallery.json").write_text(json.dumps(record))
    asking = ("query", tmp_path / "x.index", folder / "rust.png", "--bundle", folder / "bundle")
    building = ("index", "build", tmp_path / "rows.npy", "--out", tmp_path / "x.index")

    assert invoke(*building).exit_code == 0
    refused = invoke(*asking)
    assert invoke(*building, "--gallery", gallery.path).exit_code == 0
    found = invoke(*asking, "--json")

    assert (refused.exit_code, "build it again with --gallery" in refused.stderr) == (2, True)
    (answer,) = json.loads(found.stdout)["answers"]
    assert [neighbour["item"] for neighbour in answer["neighbours"]] == ["0", "1"]


def test_a_query_without_pictures_says_how_to_ask(folder, index):
    result = invoke("query", index, "--bundle", folder / "bundle")

    assert result.exit_code == 2
    assert "--sample" in result.stderr


def test_a_bundle_that_was_altered_is_refused(folder, tmp_path):
    altered = shutil.copytree(folder / "bundle", tmp_path / "bundle")
    library = altered / "network.so"
    library.write_bytes(library.read_bytes()[:-1] + b"?")

    result = invoke("run", altered, folder / "red.png")

    assert result.exit_code == 1
    assert "network.so was altered" in result.stderr
