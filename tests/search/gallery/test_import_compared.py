"""Network, embeddings and data that are given together are held against each other."""

import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import save_file

from cmpc.cli import command_line
from cmpc_search.data import load_image_set
from cmpc_search.embeddings import Embeddings, read_embeddings, write_embeddings
from cmpc_search.errors import BadEmbeddings, BadGallery
from cmpc_search.gallery import GallerySources, embed_gallery, import_gallery, open_gallery
from cmpc_search.pixels import to_float
from cmpc_search.training.embedding import embed_images


@pytest.fixture
def together(tmp_path, onnx_path, image_set, make_network):
    """Imports the network, embeddings changed by a function, and the data."""
    rows = embed_images(make_network(0), image_set.images)
    right = Embeddings(rows=rows, item_names=image_set.item_names, network_sha256="12" * 32)

    def take(change=lambda given: given, *, with_network=True, with_data=True):
        write_embeddings(tmp_path / "given.safetensors", change(right))
        sources = GallerySources(
            onnx_path=onnx_path if with_network else None,
            embeddings_path=tmp_path / "given.safetensors",
        )
        return import_gallery(
            tmp_path / "shop", sources, load_images=(lambda _: image_set) if with_data else None
        )

    return take


def test_given_embeddings_are_kept_beside_the_network_that_gave_them(together, image_set):
    gallery = together(lambda given: replace(given, rows=2 * given.rows))

    kept = read_embeddings(gallery.path)
    lengths = np.linalg.norm(kept.rows, axis=1)
    np.testing.assert_allclose(lengths, 2, rtol=1e-3)  # the given rows, not new ones
    assert gallery.record.lowest_cosine == pytest.approx(1, abs=1e-3)
    np.testing.assert_array_equal(embed_gallery(gallery, image_set).rows, kept.rows)


def test_the_cosine_that_is_kept_is_that_of_the_item_that_agrees_least(together):
    def bend(given):
        rows = given.rows.copy()
        aside = np.roll(rows[7], 1)
        aside -= (aside @ rows[7]) * rows[7]
        rows[7] += 0.1 * aside / np.linalg.norm(aside)  # 1 against 0.1 at a right angle
        return replace(given, rows=rows)

    found = together(bend).record.lowest_cosine

    assert found == pytest.approx(1 / 1.01**0.5, abs=1e-4)


def test_embeddings_of_another_network_are_refused_with_the_cosine(together, tmp_path):
    def turn(given):
        rows = given.rows.copy()
        rows[7] = np.roll(rows[7], 1)
        return replace(given, rows=rows)

    with pytest.raises(BadGallery, match=r"got a cosine of 0\.\d+ for 'dots/7' where 0\.99 is"):
        together(turn)
    assert not (tmp_path / "shop").exists()


def test_rows_in_another_order_are_found_by_name(together):
    order = np.arange(10)[::-1]

    gallery = together(
        lambda given: replace(
            given, rows=given.rows[order], item_names=tuple(given.item_names[row] for row in order)
        )
    )

    assert gallery.record.lowest_cosine == pytest.approx(1, abs=1e-3)


def test_a_name_with_its_accent_written_otherwise_is_the_same_name(
    tmp_path, onnx_path, image_set, make_network
):
    names = (*image_set.item_names[:9], "caf\u00e9.png")
    rows = embed_images(make_network(0), image_set.images)
    given = Embeddings(rows=rows, item_names=(*names[:9], "cafe\u0301.png"))
    write_embeddings(tmp_path / "given.safetensors", given)
    sources = GallerySources(onnx_path=onnx_path, embeddings_path=tmp_path / "given.safetensors")
    composed = replace(image_set, item_names=names)

    gallery = import_gallery(tmp_path / "shop", sources, load_images=lambda _: composed)

    np.testing.assert_allclose(gallery.rows_of(composed), rows, atol=1e-5)


@pytest.mark.parametrize("with_network", [True, False])
def test_items_of_the_data_without_a_row_are_told_by_split_and_role(together, with_network):
    def shorten(given):
        return replace(given, rows=given.rows[:8], item_names=given.item_names[:8])

    with pytest.raises(
        BadEmbeddings,
        match=r"10 items of dots, 2 have none \(1 train gallery, 1 validation gallery\), the first",
    ):
        together(shorten, with_network=with_network)


def test_embeddings_of_gallery_items_are_kept_and_the_network_embeds_the_queries(
    together, image_set, make_network
):
    own = embed_images(make_network(0), image_set.images)

    def of_gallery_items(given):
        rows = np.concatenate([3 * given.rows[5:], np.ones((1, 6), np.float32)])
        return replace(given, rows=rows, item_names=(*given.item_names[5:], "not in the data"))

    gallery = together(of_gallery_items)

    kept = read_embeddings(gallery.path)
    assert set(kept.item_names) == {*image_set.item_names, "not in the data"}
    lengths = np.linalg.norm(kept.named(image_set.item_names).rows, axis=1)
    np.testing.assert_allclose(lengths, [1] * 5 + [3] * 5, rtol=1e-3)
    np.testing.assert_allclose(gallery.rows_of(image_set), own, atol=1e-4)
    assert gallery.record.lowest_cosine == pytest.approx(1, abs=1e-3)


def test_queries_without_a_row_and_without_a_network_are_told(together):
    def of_gallery_items(given):
        return replace(given, rows=given.rows[5:], item_names=given.item_names[5:])

    with pytest.raises(
        BadEmbeddings,
        match=r"5 have none \(3 train query, 2 validation query\).*which embeds the q",
    ):
        together(of_gallery_items, with_network=False)


def test_without_data_nothing_is_compared_and_another_network_is_refused(together):
    with pytest.raises(BadGallery, match="of another network; give --data, so that the two can"):
        together(with_data=False)

    gallery = together(lambda given: replace(given, network_sha256=None), with_data=False)

    assert gallery.record.lowest_cosine is None


def test_a_classifier_is_held_against_the_data_at_once(tmp_path, onnx_path, image_set):
    metadata = {"class_names": json.dumps(["ant", "cat"])}
    save_file({"directions": torch.eye(2, 6)}, tmp_path / "classes", metadata)
    sources = GallerySources(onnx_path=onnx_path, classifier_path=tmp_path / "classes")

    with pytest.raises(BadGallery, match="of the 3 training classes of dots, it lacks 1: 'elk'"):
        import_gallery(tmp_path / "shop", sources, load_images=lambda _: image_set)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of thirty classes of two pictures each."""
    folder = tmp_path_factory.mktemp("photos")
    pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), np.uint8)
    for number, picture in enumerate(pixels):
        path = folder / f"class {number // 2}" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(path)
    return folder


def gallery_command(*arguments):
    result = CliRunner().invoke(command_line, ["gallery", *map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_gallery_knows_the_data_that_it_was_imported_with(
    tmp_path, onnx_path, photos, monkeypatch
):
    monkeypatch.setenv("CMPC_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(photos.parent)
    folder = tmp_path / "shop"

    told = gallery_command("import", folder, "--network", onnx_path, "--data", photos.name)

    assert told["data"] == open_gallery(folder).data == str(photos)
    image_set = load_image_set(photos, size_px=8, cache_dir=tmp_path / "cache")
    assert set(read_embeddings(folder).item_names) == set(image_set.item_names)
    monkeypatch.chdir(tmp_path)
    assert gallery_command("embed", folder)["num_items"] == 60


def test_a_gallery_learns_its_data_from_the_first_set_that_it_embeds(
    tmp_path, onnx_path, photos, monkeypatch
):
    monkeypatch.setenv("CMPC_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "shop"
    assert gallery_command("import", folder, "--network", onnx_path)["data"] is None

    gallery_command("embed", folder, "--data", photos)

    assert open_gallery(folder).data == str(photos)


@pytest.mark.parametrize("place", ["with the import", "after it"])
def test_what_is_embedded_is_divided_as_the_gallery_says(
    tmp_path, onnx_path, photos, monkeypatch, place
):
    monkeypatch.setenv("CMPC_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "shop"
    data = ("--data", photos)
    importing = ("import", folder, "--network", onnx_path, "--split-seed", 5)

    gallery_command(*importing, *(data if place == "with the import" else ()))
    if place == "after it":
        gallery_command("embed", folder, *data)

    image_set = load_image_set(photos, size_px=8, cache_dir=tmp_path / "cache", seed=5)
    assert open_gallery(folder).split_seed == 5
    assert read_embeddings(folder).data_sha256 == image_set.sha256


def test_what_a_network_reads_is_typed_kept_and_used_wherever_it_embeds(
    tmp_path, onnx_path, photos, monkeypatch
):
    monkeypatch.setenv("CMPC_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "shop"
    fed = ("--mean", "0.5,0.4,0.3", "--std", "0.2,0.3,0.4", "--bgr", "--crop", "0.5")

    told = gallery_command("import", folder, "--network", onnx_path, "--data", photos, *fed)

    assert (told["mean"], told["colour_order"], told["crop_share"]) == ([0.5, 0.4, 0.3], "BGR", 0.5)
    cropped = load_image_set(photos, size_px=8, crop_share=0.5, cache_dir=tmp_path / "cache")
    kept = read_embeddings(folder)
    assert kept.data_sha256 == cropped.sha256
    floats = (to_float(torch.from_numpy(np.array(cropped.images))).numpy() * 1.0).transpose(
        0, 2, 3, 1
    )
    fed_numbers = ((floats - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4])[..., ::-1].transpose(0, 3, 1, 2)
    session = onnxruntime.InferenceSession(onnx_path)
    rows = [
        session.run(None, {session.get_inputs()[0].name: one[None]})[0][0]
        for one in np.ascontiguousarray(fed_numbers, dtype=np.float32)
    ]
    np.testing.assert_allclose(kept.rows, rows, atol=1e-4)
    assert gallery_command("embed", folder)["num_items"] == len(cropped)
    assert len(list(folder.glob("embeddings*"))) == 1  # of the same pixels


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("--mean", "0.5,0.5"), "must be three numbers such as 0.5,0.5,0.5"),
        (("--std", "0.5,0,0.5"), "the network can't be fed so: std: Value error, each must be"),
        (("--crop", "1.5"), "Invalid value for '--crop'"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(tmp_path, onnx_path, typed, message):
    arguments = ["gallery", "import", str(tmp_path / "shop"), "--network", str(onnx_path), *typed]

    result = CliRunner().invoke(command_line, arguments)

    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
