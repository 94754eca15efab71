"""A network is shipped in half the bytes, embeds as before, and fits no other split of classes."""

import json
import tomllib
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cmpc_search.errors import BadArgument, BadGallery
from cmpc_search.gallery import FURTHER_HASHES, open_gallery, save_gallery_network
from cmpc_search.gallery.classes import classes_beside, read_classes
from cmpc_search.gallery.shipped import packing
from cmpc_search.gallery.shipped.packing import (
    open_shipped,
    pack_shipped,
    read_shipped,
    unpack_shipped,
)
from cmpc_search.stages.gallery_training import settings_of
from cmpc_search.stages.settings import GallerySettings


@pytest.fixture
def log_path(tmp_path):
    path = tmp_path / "log"
    path.write_text("step 1: loss 2.0\n")
    return path


@pytest.fixture
def shipped_folder(tmp_path, gallery, image_set, log_path):
    pack_shipped(gallery.path, tmp_path / "dots", image_set, log_path=log_path)
    return tmp_path / "dots"


def test_an_unpacked_network_embeds_and_classifies_as_the_trained_one(
    tmp_path, gallery, shipped_folder, image_set
):
    made = unpack_shipped(shipped_folder, tmp_path / "made", image_set)

    before, after = (one.embed(image_set.images) for one in (gallery, open_gallery(made.path)))
    assert (before * after).sum(axis=1).min() > 0.9999
    np.testing.assert_array_equal((before @ before.T).argsort(), (after @ after.T).argsort())
    torch.testing.assert_close(made.classifier_of(image_set), gallery.classifier_of(image_set))
    assert made.record.training == gallery.record.training
    assert made.record.precision == gallery.record.precision == "float16"
    assert {one.dtype for one in load_file(made.path / "network.safetensors").values()} == {
        torch.float32,
        torch.int64,
    }


def test_what_is_shipped_is_half_as_large_and_says_what_it_is(gallery, shipped_folder, image_set):
    filters = {
        name: one
        for name, one in load_file(shipped_folder / "network.safetensors").items()
        if one.ndim > 1
    }
    told = json.loads((shipped_folder / "shipped.json").read_text())

    assert {one.dtype for one in filters.values()} == {torch.float16}
    assert told["training"] == {"num_steps": 7}
    assert told["licences"] == list(image_set.licences)
    assert {"cmpc", "torch"} <= told["versions"].keys()
    assert (shipped_folder / "training.log").read_text() == "step 1: loss 2.0\n"


def test_what_further_data_taught_is_shipped_with_it(
    tmp_path, gallery, image_set, log_path, make_network
):
    further = replace(
        image_set,
        class_names=("fox", *image_set.class_names[1:]),
        class_keys=("fox", *image_set.class_keys[1:]),
        split=np.where(image_set.labels == 0, 0, image_set.split).astype(np.int8),
        licences=("MIT",),
        sha256="f" * 64,
    )
    (beside,) = classes_beside(image_set, (further,))
    trained = save_gallery_network(
        tmp_path / "trained",
        make_network(0),
        gallery.classifier_of(image_set),
        image_set,
        facts={"data": "dots", "further_data": ["more"], FURTHER_HASHES: [further.sha256]},
        classes_beside=(beside,),
    )
    with pytest.raises(BadGallery, match="packed with the data that it was trained on"):
        pack_shipped(trained.path, tmp_path / "without", image_set, log_path=log_path)

    shipped = pack_shipped(
        trained.path, tmp_path / "dots", image_set, log_path=log_path, further=(further,)
    )
    made = unpack_shipped(tmp_path / "dots", tmp_path / "made", image_set)

    assert (beside.key, beside.splits) == ("fox", ("train",))
    assert shipped.licences == [*image_set.licences, "MIT"]
    assert beside in read_classes(made.path, network_sha256=made.network_sha256)


def test_the_recipe_of_what_comes_with_cmpc_trains_it_anew():
    for name in packing.shipped_names():
        folder = open_shipped(name)
        recipe = tomllib.loads((folder / "recipe.toml").read_text())["gallery"]

        told = settings_of(read_shipped(folder).training)
        assert GallerySettings.model_validate(recipe) == told


@pytest.mark.parametrize(
    "change",
    [
        {"split": "swap"},
        {"class_keys": ("ant", "bee", "cat", "dog", "emu")},
    ],
    ids=["another-split", "another-class"],
)
def test_data_whose_classes_are_divided_otherwise_are_refused(
    tmp_path, shipped_folder, image_set, change
):
    if "split" in change:
        change = {"split": np.where(image_set.labels == 0, 2, image_set.split).astype(np.int8)}

    with pytest.raises(BadGallery, match="classes that it was trained beside, and dots has others"):
        unpack_shipped(shipped_folder, tmp_path / "made", replace(image_set, **change))
    assert not (tmp_path / "made").exists()


def test_the_order_of_labels_may_differ(tmp_path, gallery, shipped_folder, image_set):
    names = image_set.class_names[::-1]
    turned = replace(
        image_set,
        class_names=names,
        class_keys=names,
        labels=4 - image_set.labels,
        sha256="cd" * 32,
    )

    made = unpack_shipped(shipped_folder, tmp_path / "made", turned)

    torch.testing.assert_close(made.classifier_of(turned), gallery.classifier_of(image_set).flip(0))


def test_unpacking_twice_leaves_what_is_there_and_other_folders_alone(
    tmp_path, shipped_folder, image_set, make_network, directions
):
    made = unpack_shipped(shipped_folder, tmp_path / "made", image_set)
    before = (made.path / "network.onnx").stat().st_mtime_ns

    unpack_shipped(shipped_folder, tmp_path / "made", image_set)

    assert (made.path / "network.onnx").stat().st_mtime_ns == before
    save_gallery_network(tmp_path / "own", make_network(1), directions, image_set, facts={"a": 1})
    with pytest.raises(BadGallery, match="choose another folder or remove it"):
        unpack_shipped(shipped_folder, tmp_path / "own", image_set)


def test_a_network_that_is_too_large_is_not_packed(
    tmp_path, gallery, image_set, log_path, monkeypatch
):
    monkeypatch.setattr(packing, "MOST_BYTES", 1000)

    with pytest.raises(BadArgument, match=r"at most 1000 bytes, got \d+"):
        pack_shipped(gallery.path, tmp_path / "dots", image_set, log_path=log_path)
    assert not (tmp_path / "dots").exists()


def test_a_data_set_without_a_shipped_network_is_told(monkeypatch, shipped_folder):
    monkeypatch.setattr(packing, "OWN_FOLDER", shipped_folder.parent)

    assert open_shipped("dots") == shipped_folder
    with pytest.raises(BadArgument, match="'lines', it comes with dots; train one"):
        open_shipped("lines")


@pytest.mark.parametrize("file", ["network.safetensors", "shipped.json"])
def test_a_damaged_file_is_named(tmp_path, shipped_folder, image_set, file):
    (shipped_folder / file).write_bytes(b"{}")

    with pytest.raises(BadGallery, match=file):
        unpack_shipped(shipped_folder, tmp_path / "made", image_set)
    assert not (tmp_path / "made").exists()
