"""A run says whether its test classes are unseen, and refuses a gallery that learnt from them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cmpc_search.errors import BadGallery
from cmpc_search.gallery import embed_gallery, open_gallery, save_gallery_network
from cmpc_search.networks.gallery.base import GalleryNetwork
from cmpc_search.networks.gallery.residual import ResidualShape
from cmpc_search.runs.evaluation import SeenClasses
from cmpc_search.stages.material import load_material
from cmpc_search.stages.seen_classes import check_seen_classes

SHAPE = ResidualShape(name="tiny", input_size_px=32, depths=(1, 1), width=4, embedding_dim=8)


@pytest.fixture
def trained_on(tmp_path):
    """Return a function that makes a gallery whose network counts as trained on a data set."""

    def train(image_set):
        num_classes = len(np.unique(image_set.labels[image_set.select(split="train")]))
        torch.manual_seed(0)  # some random weights of so few channels give nothing but zeros
        gallery = save_gallery_network(
            tmp_path / "gallery",
            GalleryNetwork(SHAPE).eval(),
            torch.ones(num_classes, 8),
            image_set,
            facts={},
        )
        embed_gallery(gallery, image_set)
        return gallery

    return train


def with_split(image_set, split, label):
    """The set with the images of one class in another split."""
    changed = np.where(image_set.labels == label, split, image_set.split).astype(np.int8)
    return replace(image_set, split=changed)


def label_in(image_set, split):
    return image_set.labels[image_set.select(split=split)[0]]


def renamed(image_set, prefix):
    return replace(
        image_set,
        class_names=tuple(prefix + name for name in image_set.class_names),
        item_names=tuple(prefix + name for name in image_set.item_names),
    )


def test_a_gallery_trained_on_this_data_leaves_the_test_classes_unseen(material):
    assert material.seen_classes is SeenClasses.UNSEEN


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_gallery_trained_on_a_class_that_is_held_out_is_refused(
    settings, image_set, cache_dir, trained_on, split
):
    label = label_in(image_set, split)
    gallery = trained_on(with_split(image_set, 0, label))

    with pytest.raises(
        BadGallery, match=rf"1 of \d+, .*{image_set.class_names[label]!r} \({split}"
    ):
        load_material(settings, gallery.path, cache_dir=cache_dir)


def test_classes_of_another_data_set_are_the_same_by_key_whatever_their_name(image_set, trained_on):
    gallery = trained_on(with_split(image_set, 0, label_in(image_set, "test")))

    with pytest.raises(BadGallery, match="must not have been trained on classes"):
        check_seen_classes(gallery, replace(renamed(image_set, "other "), name="other"))

    others = replace(renamed(image_set, "other "), class_keys=())
    assert check_seen_classes(gallery, others) is SeenClasses.UNSEEN


def test_of_two_classes_with_one_name_their_keys_tell_which_is_which(image_set, trained_on):
    label = label_in(image_set, "test")
    keys = tuple(f"U+{number}" for number in range(image_set.num_classes))
    gallery = trained_on(replace(with_split(image_set, 0, label), class_keys=keys))

    with_other_keys = replace(image_set, class_keys=tuple(f"V{key}" for key in keys))
    assert check_seen_classes(gallery, with_other_keys) is SeenClasses.UNSEEN

    with pytest.raises(BadGallery, match=image_set.class_names[label]):
        check_seen_classes(gallery, replace(image_set, class_keys=()))  # names are all it has


def test_a_closed_set_is_allowed_and_known(image_set, trained_on):
    first_of_each = np.unique(image_set.labels, return_index=True)[1]
    split = np.ones(len(image_set), np.int8)
    split[first_of_each] = 0
    closed = replace(image_set, split=split)

    assert check_seen_classes(trained_on(closed), closed) is SeenClasses.CLOSED_SET


def test_a_gallery_that_cmpc_trained_must_say_on_what(image_set, trained_on):
    gallery = trained_on(image_set)
    path = gallery.path / "classes.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"network_sha256": "0" * 64}))

    with pytest.raises(BadGallery, match="must say which classes its network was trained on"):
        check_seen_classes(gallery, image_set)

    path.write_text("{}")
    with pytest.raises(BadGallery, match="must hold what cmpc wrote there"):
        check_seen_classes(gallery, image_set)


def test_of_a_network_of_the_users_own_nothing_is_known(settings, ready_gallery_path, cache_dir):
    material = load_material(settings, ready_gallery_path, cache_dir=cache_dir)

    assert material.seen_classes is SeenClasses.UNKNOWN


def test_a_users_classifier_that_names_test_classes_tells_that_they_were_seen(
    image_set, ready_gallery_path, tmp_path
):
    (tmp_path / "classes.json").write_text('{"network_sha256": "of another", "classes": []}')
    (tmp_path / "gallery.json").write_bytes((ready_gallery_path / "gallery.json").read_bytes())
    name = image_set.class_names[label_in(image_set, "test")]
    metadata = {"class_names": json.dumps([f" {name}"])}
    save_file({"directions": torch.ones(1, 8)}, tmp_path / "classifier.safetensors", metadata)

    found = check_seen_classes(open_gallery(tmp_path), image_set)

    assert found is SeenClasses.SEEN_BY_GALLERY
