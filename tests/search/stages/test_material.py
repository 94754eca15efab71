"""A run reads the data and the gallery it was begun with, and its views are made once."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from known_set import NUM_CLASSES, NUM_GALLERY, NUM_QUERIES, as_known

from cmpc_search.data import load_image_set
from cmpc_search.errors import BadGallery, BadRun
from cmpc_search.gallery import embed_gallery, open_gallery, remember_views
from cmpc_search.space.presets.shufflenet import SMALL
from cmpc_search.stages import material as material_module
from cmpc_search.stages.material import load_material
from cmpc_search.stages.run_material import load_run_material, space_facts
from cmpc_search.stages.settings import SearchSettings


def test_a_run_opens_with_the_gallery_it_was_searched_for(run, gallery_path, cache_dir):
    found = load_run_material(run, gallery_path, cache_dir=cache_dir)

    assert found.hashes() | space_facts(found.settings) == run.inputs


def test_a_run_of_another_space_of_that_name_is_refused(run, gallery_path, cache_dir, monkeypatch):
    other = replace(SMALL, widths=(0.5, 1.0))
    monkeypatch.setattr(SearchSettings, "search_space", lambda *_: other)

    with pytest.raises(BadRun, match="in the space 'small' as it is today, and was in another"):
        load_run_material(run, gallery_path, cache_dir=cache_dir)


def test_a_run_refuses_another_gallery(run, ready_gallery_path, cache_dir):
    with pytest.raises(BadRun, match="gallery_network_sha256"):
        load_run_material(run, ready_gallery_path, cache_dir=cache_dir)


@pytest.mark.parametrize(("before", "now"), [(1, 2), (2, 1)])
def test_a_run_refuses_a_gallery_that_averages_other_views(
    run, gallery_path, cache_dir, tmp_path, image_set, before, now
):
    gallery = tmp_path / "gallery"
    shutil.copytree(gallery_path, gallery)
    document = json.loads(run.settings_path.read_text())
    document["inputs"]["gallery_views_per_item"] = before
    run.settings_path.write_text(json.dumps(document))
    if now != 1:
        embed_gallery(remember_views(open_gallery(gallery), now), image_set)

    with pytest.raises(BadRun, match=rf"gallery_views_per_item .*\({before}\), got {now}"):
        load_run_material(run, gallery, cache_dir=cache_dir)


def test_a_run_of_another_version_says_which_setting_is_foreign(run, gallery_path, cache_dir):
    document = json.loads(run.settings_path.read_text())
    document["settings"]["temperature"] = 3
    run.settings_path.write_text(json.dumps(document))

    with pytest.raises(BadRun, match="temperature"):
        load_run_material(run, gallery_path, cache_dir=cache_dir)


@pytest.mark.parametrize(("limit", "is_little"), [(2, False), (100, True)])
def test_a_search_says_on_how_much_it_judges(material, monkeypatch, limit, is_little):
    monkeypatch.setattr(material_module, "ENOUGH_VALIDATION_CLASSES", limit)
    count = material.image_set.counts()["validation"]

    note = material.note_on_validation()

    assert f"{count.num_classes} validation classes ({count.num_queries} queries" in note
    assert (f"fewer than {limit}" in note) == is_little


def test_the_classes_that_candidates_are_judged_on_are_those_that_validate(material):
    note = as_known(material).note_on_validation()

    queries = f"{NUM_CLASSES + 1} validation classes ({NUM_QUERIES} queries x 1 views"
    assert f"{queries}, {NUM_GALLERY} gallery images, {NUM_GALLERY} distractors)" in note


def test_the_data_are_divided_as_the_gallery_divided_them(
    settings, ready_gallery_path, cache_dir, image_set, tmp_path
):
    gallery = tmp_path / "gallery"
    shutil.copytree(ready_gallery_path, gallery)
    record = json.loads((gallery / "gallery.json").read_text())
    (gallery / "gallery.json").write_text(json.dumps(record | {"split_seed": 5}))

    found = load_material(settings, gallery, cache_dir=cache_dir)

    other = load_image_set(settings.data, size_px=32, cache_dir=cache_dir, seed=5)
    assert found.image_set.split.tolist() == other.split.tolist() != image_set.split.tolist()
    assert found.hashes()["split_seed"] == 5


def test_query_networks_read_images_of_the_size_that_is_set(
    settings, ready_gallery_path, cache_dir
):
    larger = settings.model_copy(update={"input_size_px": 40})

    found = load_material(larger, ready_gallery_path, cache_dir=cache_dir)

    assert found.space.plan(found.space.largest()).input_size_px == 40
    assert found.image_set.images.shape[1:3] == (40, 40)


def test_a_gallery_without_embeddings_says_how_to_make_them(
    settings, gallery_path, cache_dir, tmp_path
):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("gallery.json", "classes.json"):
        (bare / name).write_bytes((gallery_path / name).read_bytes())

    with pytest.raises(BadGallery, match="cmpc gallery embed"):
        load_material(settings, bare, cache_dir=cache_dir)


def test_class_means_of_training_images_stand_in_where_the_gallery_has_no_classifier(
    settings, ready_gallery_path, cache_dir
):
    material = load_material(settings, ready_gallery_path, cache_dir=cache_dir)

    image_set, rows = material.image_set, material.gallery_rows
    train = image_set.select(split="train")
    means = [
        rows[train][image_set.labels[train] == label].mean(axis=0)
        for label in np.unique(image_set.labels[train])
    ]
    expected = means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(material.gallery_bank.class_directions, expected, atol=1e-5)


def test_the_bank_knows_which_training_images_stand_in_the_gallery(
    settings, ready_gallery_path, cache_dir
):
    material = load_material(settings, ready_gallery_path, cache_dir=cache_dir)

    rows = material.image_set.select(split="train", role="gallery")
    found = material.gallery_bank.gallery_rows
    np.testing.assert_array_equal(found, material.gallery_rows[rows])
    assert 0 < len(found) < len(material.gallery_bank.embeddings)


def test_pictures_are_cropped_as_the_gallery_crops_them(
    settings, ready_gallery_path, cache_dir, image_set, tmp_path
):
    gallery = tmp_path / "gallery"
    shutil.copytree(ready_gallery_path, gallery)
    record = json.loads((gallery / "gallery.json").read_text())
    (gallery / "gallery.json").write_text(json.dumps(record | {"crop_share": 0.5}))

    found = load_material(settings, gallery, cache_dir=cache_dir)

    cropped = load_image_set(settings.data, size_px=32, crop_share=0.5, cache_dir=cache_dir)
    assert found.image_set.sha256 == cropped.sha256 != image_set.sha256
    assert found.hashes()["crop_share"] == 0.5
