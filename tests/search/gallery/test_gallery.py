"""A gallery folder gives back what was put in, and embeds only what it has not embedded yet."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cmpc_cost_models.graphs.counting import count_network
from cmpc_search.embeddings import Embeddings, read_embeddings, write_embeddings
from cmpc_search.errors import BadEmbeddings, BadGallery
from cmpc_search.gallery import (
    Gallery,
    GallerySources,
    embed_gallery,
    existing_gallery,
    folder,
    import_gallery,
    open_gallery,
    read_classifier,
    save_gallery_network,
)
from cmpc_search.gallery.classes import write_classes
from cmpc_search.gallery.networks import torch_network
from cmpc_search.gallery.networks.torch_network import TorchNetwork
from cmpc_search.gallery.record import GalleryRecord
from cmpc_search.networks.gallery.base import GalleryNetwork
from cmpc_search.networks.onnx_export import export_network
from cmpc_search.pixels import to_float
from cmpc_search.testing.spaces import onnx_embedding
from cmpc_search.training.compute import Compute
from cmpc_search.training.embedding import embed_images

FACTS = {"num_steps": 7}
NO_NETWORK = {"network": None, "network_sha256": "60", "embedding_dim": 6}


def test_an_opened_gallery_is_the_saved_network(gallery, image_set, make_network, directions):
    opened = open_gallery(gallery.path)

    expected = embed_images(make_network(0), image_set.images)
    np.testing.assert_allclose(opened.embed(image_set.images), expected, atol=1e-5)
    torch.testing.assert_close(opened.classifier_of(image_set), directions)
    assert (opened.embedding_dim, opened.input_size_px, opened.has_network) == (6, 8, True)
    image = to_float(torch.from_numpy(image_set.images[:1]))
    np.testing.assert_allclose(onnx_embedding(opened.onnx_path, image), expected[:1], atol=2e-5)
    counted = count_network(opened.onnx_path)
    assert (opened.macs, opened.record.parameters) == (counted.macs, counted.parameters)
    assert len(opened.network_sha256) == 64
    assert opened.record.precision == "float16"


@pytest.mark.parametrize(
    ("record", "seed"),
    [({"training": {"split_seed": 5}}, 5), ({"split_seed": 4}, 4), ({"training": {}}, 0)],
)
def test_a_gallery_knows_how_its_data_were_divided(tmp_path, record, seed):
    assert Gallery(tmp_path, GalleryRecord(**NO_NETWORK, **record)).split_seed == seed


def test_images_of_another_size_are_resized_before_they_are_embedded(gallery, image_set):
    enlarged = image_set.images.repeat(3, axis=1).repeat(3, axis=2)

    found = gallery.embed(enlarged)

    # Nine equal pixels average to themselves, but the antialiasing filter reaches the neighbours.
    assert (found * gallery.embed(image_set.images)).sum(axis=1).mean() > 0.7
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    flat = np.full((1, 24, 24, 3), 77, np.uint8)
    np.testing.assert_array_equal(gallery.embed(flat), gallery.embed(flat[:, :8, :8]))


@pytest.mark.parametrize("has_bfloat16", [True, False])
def test_what_others_learn_from_is_narrow_where_that_is_fast(
    gallery, image_set, monkeypatch, has_bfloat16
):
    monkeypatch.setattr(folder, "here", lambda: Compute(has_fast_bfloat16=has_bfloat16))
    monkeypatch.setattr(torch_network, "here", lambda: Compute(has_fast_bfloat16=has_bfloat16))
    exact, narrow = (
        gallery.embed(image_set.images, is_narrow=is_narrow) for is_narrow in (False, True)
    )

    assert (exact == narrow).all() == (not has_bfloat16)
    assert (exact * narrow).sum(axis=1).min() > 0.99


def test_embeddings_are_made_once(gallery, image_set, monkeypatch):
    first = embed_gallery(gallery, image_set)
    monkeypatch.setattr(type(gallery), "embed", pytest.fail)

    again = embed_gallery(open_gallery(gallery.path), image_set)

    np.testing.assert_array_equal(again.rows, first.rows)
    assert again.item_names == image_set.item_names
    np.testing.assert_array_equal(again.labels, image_set.labels)


def test_embeddings_are_made_anew_for_another_network(gallery, image_set, make_network, directions):
    old = embed_gallery(gallery, image_set)
    changed = save_gallery_network(
        gallery.path, make_network(1), directions, image_set, facts=FACTS
    )
    with pytest.raises(BadGallery, match="that its network gave, got another's"):
        changed.embeddings_of(image_set.item_names)

    new = embed_gallery(changed, image_set)

    assert new.network_sha256 == changed.network_sha256 != old.network_sha256
    assert not np.allclose(new.rows, old.rows, atol=0.01)
    np.testing.assert_array_equal(changed.embeddings_of(image_set.item_names).rows, new.rows)


def test_what_has_no_embedding_is_told_by_split_and_role(gallery, image_set):
    embed_gallery(gallery, image_set.subset(np.arange(4)))

    with pytest.raises(
        BadEmbeddings,
        match=r"6 have none \(1 validation query, 3 train gallery, 2 validation gallery\), "
        "the first is 'dots/4'",
    ):
        gallery.rows_of(image_set)


def test_embeddings_of_several_data_sets_stay_side_by_side(gallery, image_set):
    other = replace(
        image_set,
        images=image_set.images[::-1],
        item_names=tuple(f"other/{number}" for number in range(10)),
        sha256="cd" * 32,
    )
    first = embed_gallery(gallery, image_set)
    second = embed_gallery(gallery, other)

    np.testing.assert_allclose(gallery.rows_of(image_set), first.rows, atol=1e-6)
    np.testing.assert_allclose(gallery.rows_of(other), second.rows, atol=1e-6)
    assert not np.allclose(first.rows, second.rows, atol=0.01)
    assert len(list(gallery.path.glob("embeddings*"))) == 2
    with pytest.raises(BadEmbeddings, match=r"of 2 data sets .*name one of these files, or the d"):
        read_embeddings(gallery.path)


def test_of_two_states_of_a_data_set_the_latest_counts(gallery, image_set):
    embed_gallery(gallery, image_set)
    changed = replace(image_set, images=image_set.images[::-1], sha256="cd" * 32)
    latest = embed_gallery(gallery, changed)

    np.testing.assert_allclose(gallery.rows_of(image_set), latest.rows, atol=1e-6)
    gallery.check_current(changed)
    with pytest.raises(BadGallery, match="must be of dots as it is now, it has changed since"):
        gallery.check_current(image_set)

    first = embed_gallery(gallery, image_set)  # the pictures are the old ones again

    gallery.check_current(image_set)
    np.testing.assert_allclose(gallery.rows_of(image_set), first.rows, atol=1e-6)


def test_rows_come_in_the_order_of_the_images_and_with_unit_length(gallery, image_set):
    rows = np.arange(1, 61, dtype=np.float32).reshape(10, 6)
    kept = Embeddings(
        rows=rows, item_names=image_set.item_names, network_sha256=gallery.network_sha256
    )
    write_embeddings(gallery.path / "embeddings.safetensors", kept)

    found = gallery.rows_of(image_set.subset(np.array([7, 2])))

    expected = [row / np.sqrt(row @ row) for row in rows.astype(np.float64)[[7, 2]]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def without_classifier(gallery):
    (gallery.path / "classifier.safetensors").unlink()
    return gallery


def with_other_classes(gallery):
    metadata = {"class_names": json.dumps(["ant", "cat", "yak"])}
    save_file({"directions": torch.eye(3, 6)}, gallery.path / "classifier.safetensors", metadata)
    return gallery


@pytest.mark.parametrize("change", [without_classifier, with_other_classes])
def test_a_classifier_of_other_training_data_is_left_out_and_told(gallery, image_set, change):
    change(gallery)
    notices = []

    found = gallery.classifier_of(image_set, on_notice=notices.append)

    assert found is None
    told = ["lacks 1 of 3 training classes of dots; class means" in one for one in notices]
    assert told == [True] * (change is with_other_classes)


def test_a_classifier_that_was_given_must_know_every_training_class(gallery, image_set):
    imported = import_gallery(
        gallery.path.with_name("imported"),
        GallerySources(
            onnx_path=gallery.onnx_path,
            classifier_path=with_other_classes(gallery).path / "classifier.safetensors",
        ),
    )

    with pytest.raises(BadGallery, match=r"the 3 training classes of dots, it lacks 1: 'elk'; add"):
        imported.classifier_of(image_set)


def test_directions_are_matched_by_name_whatever_their_order_and_company(gallery, image_set):
    metadata = {"class_names": json.dumps(["yak", " elk", "cat ", "ant"])}
    save_file(
        {"directions": 2 * torch.eye(4, 6)}, gallery.path / "classifier.safetensors", metadata
    )

    found = gallery.classifier_of(image_set)  # of ant, cat, elk

    torch.testing.assert_close(found, torch.eye(4, 6)[[3, 2, 1]])


def test_directions_are_of_the_class_of_the_same_key_whatever_other_data_call_it(
    gallery, image_set, directions
):
    keyed = replace(image_set, class_keys=("1", "2", "3", "4", "5"))
    write_classes(gallery.path, keyed, network_sha256=gallery.network_sha256)
    renamed = replace(keyed, class_names=("cat", "bee", "ant", "dog", "moose"))

    torch.testing.assert_close(gallery.classifier_of(renamed), directions)


@pytest.mark.parametrize(
    ("tensors", "metadata"),
    [
        ({"weights": torch.eye(2)}, {"class_names": '["a", "b"]'}),
        ({"directions": torch.eye(2)}, {}),
        ({"directions": torch.eye(2)}, {"class_names": '["a"]'}),
        ({"directions": torch.eye(2)}, {"class_names": "a, b"}),
        ({"directions": torch.eye(2)}, {"class_names": "2"}),
        ({"directions": torch.eye(2)}, {"class_names": '["a", " a"]'}),
        ({"directions": torch.eye(2)}, {"class_names": "[1, 2]"}),
        ({"directions": torch.ones(2)}, {"class_names": '["a", "b"]'}),
        ({"directions": torch.ones(0, 2)}, {"class_names": "[]"}),
        ({"directions": torch.eye(2)}, {"class_names": '["a", "a"]'}),
    ],
)
def test_a_classifier_file_without_named_directions_is_refused(tmp_path, tensors, metadata):
    save_file(tensors, tmp_path / "some.safetensors", metadata)

    with pytest.raises(BadGallery, match=r"must hold a tensor `directions`.*`class_names`"):
        read_classifier(tmp_path / "some.safetensors")


def test_a_direction_of_zeros_is_refused_by_its_class(tmp_path):
    metadata = {"class_names": '["ant", "bee"]'}
    save_file({"directions": torch.tensor([[1.0, 0], [0, 0]])}, tmp_path / "some", metadata)

    with pytest.raises(
        BadEmbeddings, match=r"the directions of .*some must be finite and .*'bee'$"
    ):
        read_classifier(tmp_path / "some")


def test_a_network_that_gives_no_directions_is_told_with_the_items(gallery, image_set):
    broken = GalleryNetwork(gallery.record.network).eval()
    for weight in broken.parameters():
        torch.nn.init.constant_(weight, torch.nan)
    export_network(broken, gallery.path / "network.onnx")

    with pytest.raises(BadEmbeddings, match=r"zeros for 'dots/0', 'dots/1', 'dots/2' and others$"):
        embed_gallery(open_gallery(gallery.path), image_set)
    assert not list(gallery.path.glob("embeddings*"))


def test_a_gallery_is_taken_up_only_as_what_it_was_trained_as(gallery, image_set):
    assert existing_gallery(gallery.path, image_set, facts=FACTS) is not None
    assert existing_gallery(gallery.path / "none", image_set, facts=FACTS) is None
    with pytest.raises(BadGallery, match="it was made otherwise; choose another folder"):
        existing_gallery(gallery.path, image_set, facts={"num_steps": 8})
    with pytest.raises(BadGallery, match="it was made otherwise"):
        existing_gallery(gallery.path, replace(image_set, sha256="cd" * 32), facts=FACTS)


def test_a_folder_that_is_no_gallery_is_told_how_one_is_made(tmp_path):
    with pytest.raises(BadGallery, match=r"without gallery\.json; make one with `cmpc gallery"):
        open_gallery(tmp_path)


def test_a_gallery_of_another_version_is_refused(gallery):
    record = json.loads((gallery.path / "gallery.json").read_text())
    (gallery.path / "gallery.json").write_text(json.dumps(record | {"schema_version": 99}))

    with pytest.raises(BadGallery, match="schema_version 2, got 99"):
        open_gallery(gallery.path)


def test_damaged_weights_are_an_error_about_weights(gallery):
    path = gallery.path / "network.safetensors"
    path.write_bytes(path.read_bytes()[:200])

    with pytest.raises(BadGallery, match="must hold the gallery network's weights"):
        TorchNetwork(path, gallery.record.network)


def test_what_was_embedded_reads_back_from_the_folder(gallery, image_set):
    made = embed_gallery(gallery, image_set)

    np.testing.assert_array_equal(read_embeddings(gallery.path).rows, made.rows)
