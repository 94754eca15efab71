"""A run is judged on data of other classes, by its own networks and apart from its evaluation."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from cmpc_search.data import load_image_set
from cmpc_search.errors import BadArgument, BadGallery
from cmpc_search.gallery import open_gallery
from cmpc_search.runs.evaluation import SeenClasses
from cmpc_search.stages import evaluating
from cmpc_search.stages.evaluating import EvaluationOrder, run_evaluation
from cmpc_search.stages.other_data import on_other_data


@pytest.fixture
def others(pictures, tmp_path):
    """The same pictures in other order, and of other names, so that others of them test."""
    folder = tmp_path / "others"
    shutil.copytree(pictures, folder)
    for number, path in enumerate(sorted(folder.iterdir(), reverse=True)):
        path.rename(folder / f"thing {number}")
    return folder


def test_images_and_rows_are_of_the_other_data_and_networks_of_the_run(material, others, cache_dir):
    there = on_other_data(material, str(others))

    expected = load_image_set(str(others), size_px=32, cache_dir=cache_dir)
    assert there.image_set.sha256 == expected.sha256 != material.image_set.sha256
    assert there.images_at(16).item_names == expected.item_names
    positions = expected.select(split="test")
    rows = material.gallery.embed(expected.images[positions])
    np.testing.assert_allclose(there.gallery_rows[positions], rows, atol=1e-5)
    assert there.gallery is material.gallery
    assert (there.seen_classes, there.other_data.seen_class_names) == (SeenClasses.UNSEEN, ())


def test_test_classes_that_trained_the_networks_in_their_own_data_are_named(
    material, others, cache_dir
):
    expected = load_image_set(str(others), size_px=32, cache_dir=cache_dir)
    wanted = expected.class_names[expected.labels[expected.select(split="test")[0]]]
    trains = material.image_set.labels[material.image_set.select(split="train")[0]]
    names = list(material.image_set.class_names)
    names[trains] = wanted
    known = replace(material.image_set, class_names=tuple(names), class_keys=())

    there = on_other_data(replace(material, image_set=known), str(others))

    assert there.seen_classes is SeenClasses.SEEN_ELSEWHERE
    assert there.other_data.seen_class_names == (wanted,)


def test_without_a_gallery_network_there_is_nothing_to_embed_other_data_with(
    material, others, ready_gallery_path
):
    ready = replace(material, gallery=open_gallery(ready_gallery_path))

    with pytest.raises(BadGallery, match="must have a network to embed new images"):
        on_other_data(ready, str(others))


def test_new_galleries_embed_the_data_of_the_run_alone(run, material, others, monkeypatch):
    monkeypatch.setattr(evaluating, "load_run_material", lambda *_, **__: material)
    order = EvaluationOrder(
        run_folder=run.path,
        cache_dir=material.cache_dir,
        other_data=str(others),
        new_galleries=True,
    )

    with pytest.raises(BadArgument, match="beside the run's own gallery network alone"):
        run_evaluation(order)
