"""A gallery is trained once, whoever begins, and large networks not without a word."""

from contextlib import contextmanager

import pytest
import torch
from pydantic import ValidationError

from cmpc_search.data import load_image_set
from cmpc_search.errors import BadArgument, BadGallery
from cmpc_search.gallery import save_gallery_network
from cmpc_search.gallery.classes import read_classes
from cmpc_search.networks.gallery.base import GalleryNetwork
from cmpc_search.stages import gallery_making, gallery_training
from cmpc_search.stages.gallery_making import (
    GalleryTrainOrder,
    run_gallery_training,
    training_advice,
)
from cmpc_search.stages.settings import GallerySettings
from cmpc_search.training.settings import GalleryTraining


def test_who_waited_for_another_training_finds_it_done(tmp_path, image_set, monkeypatch):
    settings = GallerySettings(data="pictures", depths="1", width=2)
    network = GalleryNetwork(settings.shape)
    directions = torch.ones(1, settings.shape.embedding_dim)

    @contextmanager
    def making(folder, *, on_wait):
        facts = gallery_training.training_facts(settings, ())
        save_gallery_network(folder, network, directions, image_set, facts=facts)
        yield

    monkeypatch.setattr(gallery_training, "making", making)
    monkeypatch.setattr(gallery_training, "train_gallery_network", pytest.fail)

    found = gallery_training.train_gallery(
        tmp_path / "gallery", settings, image_set, cache_dir=tmp_path
    )

    assert found.path == tmp_path / "gallery"


def test_a_gallery_is_trained_on_the_classes_of_its_split_seed(
    pictures, cache_dir, tmp_path, monkeypatch
):
    settings = GallerySettings(
        data=str(pictures), depths="1", width=2, input_size_px=32, split_seed=5, seed=1
    )

    trained_on = []
    monkeypatch.setattr(
        gallery_making, "train_gallery", lambda *given, **_: trained_on.append(given[2])
    )

    run_gallery_training(
        GalleryTrainOrder(folder=tmp_path / "gallery", settings=settings, cache_dir=cache_dir)
    )

    split = {
        seed: load_image_set(str(pictures), size_px=32, cache_dir=cache_dir, seed=seed).split
        for seed in (0, 1, 5)
    }
    assert trained_on[0].split.tolist() == split[5].tolist()
    assert split[5].tolist() not in (split[0].tolist(), split[1].tolist())


@pytest.mark.parametrize(
    ("settings", "is_advised"),
    [
        (GallerySettings(network="resnet101"), True),
        (GallerySettings(network="resnet101", training=GalleryTraining(num_steps=500_000)), False),
        (GallerySettings(network="efficientnet-lite0"), False),
        (GallerySettings(), False),
    ],
)
def test_a_large_network_is_not_trained_like_a_small_one_without_a_word(settings, is_advised):
    advice = training_advice(settings)

    assert (advice is not None) == is_advised
    assert advice is None or "resnet101 is about to be trained as residual-small" in advice
    assert advice is None or "192,000 images in all" in advice


def test_a_network_that_is_not_residual_has_no_depths_or_width():
    settings = GallerySettings(network="efficientnet-lite0", width=32)

    with pytest.raises(BadArgument, match="a residual network, got them for efficientnet-lite0"):
        _ = settings.shape
    assert GallerySettings(network="resnet18", width=32, embedding_dim=7).shape.embedding_dim == 7


@pytest.mark.parametrize(("kind", "side_px"), [("drawing", 48), ("photo", 16)])
def test_views_are_made_of_pictures_as_large_as_their_kind_wants(
    pictures, cache_dir, kind, side_px
):
    augmentation = {"kind": kind} | ({"supersampling": 3} if kind == "drawing" else {})
    settings = GallerySettings(
        data=str(pictures), input_size_px=16, seed=6, augmentation=augmentation
    )

    views = gallery_training.training_views(settings, cache_dir=cache_dir)

    assert views.pictures.sources[0].shape == (side_px, side_px, 3)
    assert (views.size_px, views.recipe.seed) == (16, 6)
    assert views.recipe.augmentation.kind == kind


def test_further_data_change_what_is_learnt_and_are_known_by_their_hash(
    pictures, more_pictures, image_set, cache_dir, tmp_path
):
    alone = GallerySettings(
        data=str(pictures),
        depths="1",
        width=2,
        input_size_px=32,
        training=GalleryTraining(num_steps=2, classes_per_batch=2),
    )
    both = alone.model_copy(update={"further_data": (str(more_pictures),)})
    trained = {}
    for name, settings in (("alone", alone), ("both", both)):
        trained[name] = gallery_training.train_gallery(
            tmp_path / name, settings, image_set, cache_dir=cache_dir
        )

    one, other = (trained[name].record for name in ("alone", "both"))
    assert one.network_sha256 != other.network_sha256
    assert one.data_sha256 == other.data_sha256 == image_set.sha256
    more = load_image_set(str(more_pictures), size_px=32, cache_dir=cache_dir)
    assert other.training["further_sha256"] == [more.sha256]
    assert gallery_training.settings_of(other.training) == both
    assert {
        known.name
        for known in read_classes(trained["both"].path, network_sha256=other.network_sha256)
    } == set(image_set.class_names)
    with pytest.raises(BadGallery, match="must be trained with these settings on this data"):
        gallery_training.train_gallery(tmp_path / "both", alone, image_set, cache_dir=cache_dir)


def test_data_are_trained_on_once():
    with pytest.raises(ValidationError, match="must name each data set once, got emoji again"):
        GallerySettings(data="emoji", further_data=("emoji9", "emoji"))
