"""A gallery from what a user has: a network as ONNX, ready embeddings, a classifier."""

import json

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file

from cmpc_base import errors
from cmpc_cost_models.graphs.counting import count_network
from cmpc_cost_models.graphs.writing import GraphWriter
from cmpc_search.embeddings import Embeddings, read_embeddings, write_embeddings
from cmpc_search.errors import BadArgument, BadEmbeddings, BadGallery
from cmpc_search.gallery import GallerySources, embed_gallery, import_gallery
from cmpc_search.training.embedding import embed_images

ROWS = np.random.default_rng(0).standard_normal((10, 6)).astype(np.float32)


@pytest.fixture
def files(tmp_path, image_set):
    """Writes ready embeddings in both forms, and their item names."""
    np.save(tmp_path / "rows.npy", ROWS)
    (tmp_path / "ids.txt").write_text("\n".join(image_set.item_names) + "\n")
    named = Embeddings(rows=ROWS, item_names=image_set.item_names, network_sha256="12" * 32)
    write_embeddings(tmp_path / "rows.safetensors", named)
    return tmp_path


def write_classifier(path, dim):
    metadata = {"class_names": json.dumps(["ant", "cat", "elk"])}
    save_file({"directions": torch.eye(3, dim)}, path, metadata)
    return path


def write_pooling_network(path, shape):
    """Write a network that gives the six means of a 1x1 convolution."""
    weight = np.random.default_rng(1).standard_normal((6, shape[1], 1, 1)).astype(np.float32)
    writer = GraphWriter("pooling", shape)
    features = writer.relu(writer.conv(writer.input, weight))
    writer.save(path, writer.global_average_pool(features))
    return path


def test_an_imported_network_embeds_as_the_network_it_was_exported_from(
    tmp_path, onnx_path, image_set, make_network
):
    gallery = import_gallery(tmp_path / "shop", GallerySources(onnx_path=onnx_path))

    found = embed_gallery(gallery, image_set)

    np.testing.assert_allclose(
        found.rows, embed_images(make_network(0), image_set.images), atol=1e-4
    )
    assert (gallery.embedding_dim, gallery.input_size_px) == (6, 8)
    counted = count_network(onnx_path)
    assert (gallery.macs, gallery.record.parameters) == (counted.macs, counted.parameters)
    assert gallery.onnx_path.read_bytes() == onnx_path.read_bytes()
    np.testing.assert_array_equal(gallery.rows_of(image_set).argmax(1), found.rows.argmax(1))


def test_a_network_that_does_not_normalise_is_normalised(tmp_path, image_set):
    path = write_pooling_network(tmp_path / "raw.onnx", (1, 3, 8, 8))

    rows = import_gallery(tmp_path / "shop", GallerySources(onnx_path=path)).embed(image_set.images)

    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_a_network_of_a_fixed_batch_embeds_any_number_of_images(tmp_path, image_set):
    one = write_pooling_network(tmp_path / "one.onnx", (1, 3, 8, 8))
    four = write_pooling_network(tmp_path / "four.onnx", (4, 3, 8, 8))

    found = import_gallery(tmp_path / "by-four", GallerySources(onnx_path=four))

    expected = import_gallery(tmp_path / "by-one", GallerySources(onnx_path=one))
    np.testing.assert_allclose(
        found.embed(image_set.images), expected.embed(image_set.images), atol=1e-6
    )
    assert found.macs == expected.macs


def test_weights_beside_the_network_file_come_along(tmp_path, onnx_path, image_set):
    """The torch exporter writes the weights of all but small networks into a second file."""
    beside = tmp_path / "beside"
    beside.mkdir()
    onnx.save_model(
        onnx.load(onnx_path),
        beside / "own.onnx",
        save_as_external_data=True,
        location="own.onnx.data",
        size_threshold=0,
    )
    assert (beside / "own.onnx.data").exists()
    gallery = import_gallery(tmp_path / "shop", GallerySources(onnx_path=beside / "own.onnx"))
    (beside / "own.onnx.data").unlink()

    found = gallery.embed(image_set.images)

    whole = import_gallery(tmp_path / "whole", GallerySources(onnx_path=onnx_path))
    np.testing.assert_array_equal(found, whole.embed(image_set.images))


@pytest.mark.parametrize("name", ["rows.npy", "rows.safetensors"])
def test_ready_embeddings_stand_in_for_a_network(files, image_set, name):
    ids_path = files / "ids.txt" if name.endswith(".npy") else None
    sources = GallerySources(
        embeddings_path=files / name,
        ids_path=ids_path,
        classifier_path=write_classifier(files / "classes.safetensors", 6),
    )

    gallery = import_gallery(files / "shop", sources)

    reverse = image_set.subset(np.arange(10)[::-1])
    unit = ROWS[::-1] / np.linalg.norm(ROWS[::-1], axis=1, keepdims=True)
    np.testing.assert_allclose(gallery.rows_of(reverse), unit, atol=1e-6)
    torch.testing.assert_close(gallery.classifier_of(image_set), torch.eye(3, 6))
    assert (gallery.has_network, gallery.embedding_dim, gallery.macs) == (False, 6, None)
    assert gallery.onnx_path is None
    with pytest.raises(BadGallery, match="must have a network to embed new images"):
        gallery.embed(image_set.images)


def test_embeddings_that_name_their_network_keep_its_name(files):
    gallery = import_gallery(
        files / "shop", GallerySources(embeddings_path=files / "rows.safetensors")
    )

    assert gallery.network_sha256 == "12" * 32


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 1, 8, 8), r"square RGB images .*got \[1, 1, 8, 8\]"),
        ((1, 3, 8, 6), r"square RGB images .*got \[1, 3, 8, 6\]"),
    ],
)
def test_a_network_of_other_inputs_is_refused(tmp_path, shape, message):
    path = write_pooling_network(tmp_path / "odd.onnx", shape)

    with pytest.raises(BadGallery, match=message):
        import_gallery(tmp_path / "shop", GallerySources(onnx_path=path))


def test_a_network_that_gives_maps_is_refused(tmp_path):
    writer = GraphWriter("maps", (1, 3, 8, 8))
    writer.save(tmp_path / "maps.onnx", writer.relu(writer.input))

    with pytest.raises(
        BadGallery, match=r"must give embeddings \[N, D\] .*got float32 \(1, 3, 8, 8\)"
    ):
        import_gallery(tmp_path / "shop", GallerySources(onnx_path=tmp_path / "maps.onnx"))


def test_a_file_that_is_no_network_is_refused(files):
    with pytest.raises(BadGallery, match="must be a valid ONNX file"):
        import_gallery(files / "shop", GallerySources(onnx_path=files / "ids.txt"))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0], ids=["nan", "infinite", "zero"])
def test_rows_without_a_direction_are_refused(files, bad):
    rows = ROWS.copy()
    rows[3] = bad
    np.save(files / "bad.npy", rows)
    sources = GallerySources(embeddings_path=files / "bad.npy", ids_path=files / "ids.txt")

    with pytest.raises(BadEmbeddings, match=r"must be finite.*, got NaN.* for 'dots/3'$"):
        import_gallery(files / "shop", sources)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (ROWS[:9], "must name each of the 9 rows, got 10 names"),
        (ROWS[:, :, None], r"rows \[N, D\].*shape \(10, 6, 1\)"),
        (ROWS[:0], r"must name each of the 0 rows, got 10 names"),
    ],
    ids=["too-few", "three-axes", "none"],
)
def test_an_array_that_is_no_table_of_named_numbers_is_refused(files, array, message):
    np.save(files / "bad.npy", array)
    sources = GallerySources(embeddings_path=files / "bad.npy", ids_path=files / "ids.txt")

    with pytest.raises(BadEmbeddings, match=message):
        import_gallery(files / "shop", sources)


def test_names_that_are_no_text_are_refused(files):
    sources = GallerySources(embeddings_path=files / "rows.npy", ids_path=files / "rows.npy")

    with pytest.raises(errors.BadArgument, match="must be a text file of names"):
        import_gallery(files / "shop", sources)


def test_a_byte_order_mark_is_no_part_of_the_first_name(files, image_set):
    (files / "marked.txt").write_text("\n".join(image_set.item_names), encoding="utf-8-sig")
    sources = GallerySources(embeddings_path=files / "rows.npy", ids_path=files / "marked.txt")

    assert (
        read_embeddings(import_gallery(files / "shop", sources).path).item_names
        == image_set.item_names
    )


def test_two_rows_of_one_name_are_refused(files, image_set):
    names = [*image_set.item_names[:9], image_set.item_names[0]]
    (files / "twice.txt").write_text("\n".join(names))
    sources = GallerySources(embeddings_path=files / "rows.npy", ids_path=files / "twice.txt")

    with pytest.raises(BadEmbeddings, match="each row differently, got 'dots/0' more than once"):
        import_gallery(files / "shop", sources)


@pytest.mark.parametrize(
    ("embeddings", "ids", "message"),
    [
        (None, None, "must come from a network or from embeddings, got neither"),
        (None, "ids.txt", "must come from a network or from embeddings, got neither"),
        ("rows.npy", None, "must name its items: with --ids beside"),
        ("rows.safetensors", "ids.txt", "names its items itself; --ids is for a file that"),
    ],
)
def test_sources_that_do_not_go_together_are_refused(files, embeddings, ids, message):
    sources = GallerySources(
        embeddings_path=embeddings and files / embeddings, ids_path=ids and files / ids
    )

    with pytest.raises(BadArgument, match=message):
        import_gallery(files / "shop", sources)
    assert not (files / "shop").exists()


def test_safetensors_without_names_are_refused(files):
    write_embeddings(files / "bare.safetensors", Embeddings(rows=ROWS))

    with pytest.raises(BadArgument, match="must name its items"):
        import_gallery(files / "shop", GallerySources(embeddings_path=files / "bare.safetensors"))


def test_embeddings_in_neither_form_are_refused(files):
    with pytest.raises(BadEmbeddings, match="must be a safetensors file"):
        import_gallery(files / "shop", GallerySources(embeddings_path=files / "ids.txt"))


def test_a_classifier_of_another_length_is_refused(files):
    sources = GallerySources(
        embeddings_path=files / "rows.safetensors",
        classifier_path=write_classifier(files / "classes.safetensors", 5),
    )

    with pytest.raises(BadGallery, match="must have the embeddings' length 6, got 5"):
        import_gallery(files / "shop", sources)
    assert not (files / "shop").exists()


def test_embeddings_of_another_length_than_the_network_gives_are_refused(
    files, onnx_path, image_set
):
    longer = Embeddings(rows=np.ones((10, 7), np.float32), item_names=image_set.item_names)
    write_embeddings(files / "longer.safetensors", longer)
    sources = GallerySources(onnx_path=onnx_path, embeddings_path=files / "longer.safetensors")

    with pytest.raises(BadGallery, match=r"must have the 6 values that .*own\.onnx gives, got 7"):
        import_gallery(files / "shop", sources)


def test_a_folder_that_is_a_gallery_already_is_left_alone(gallery, onnx_path):
    before = gallery.onnx_path.stat().st_mtime_ns

    with pytest.raises(BadArgument, match="must not be a gallery yet"):
        import_gallery(gallery.path, GallerySources(onnx_path=onnx_path))

    assert gallery.onnx_path.stat().st_mtime_ns == before
