"""A run reads the data and the gallery it was begun with, and its views are made once."""

import json
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from known_set import NUM_CLASSES, NUM_GALLERY, NUM_QUERIES, make_known_set
from PIL import Image
from safetensors.torch import load_file, save_file

from cmpc_search.compatibility.base import NO_LABEL
from cmpc_search.data import load_image_set
from cmpc_search.embeddings import EMBEDDINGS_FILE, read_embeddings
from cmpc_search.errors import BadData, BadEmbeddings, BadGallery, BadRun
from cmpc_search.gallery import (
    GallerySources,
    embed_gallery,
    import_gallery,
    read_classifier,
    save_gallery_network,
)
from cmpc_search.networks.gallery import GalleryNetwork, ResidualShape
from cmpc_search.stages import material as material_module
from cmpc_search.stages.material import load_material, load_run_material
from cmpc_search.stages.settings import SearchSettings
from cmpc_search.training import views as views_module
from cmpc_search.training.augmentation import Augmentation


def test_a_run_opens_with_the_gallery_it_was_searched_for(run, gallery_path, cache_dir):
    assert load_run_material(run, gallery_path, cache_dir=cache_dir).hashes() == run.inputs


def test_a_run_refuses_another_gallery(run, ready_gallery_path, cache_dir):
    with pytest.raises(BadRun, match="gallery_network_sha256"):
        load_run_material(run, ready_gallery_path, cache_dir=cache_dir)


def test_a_run_of_another_version_says_which_setting_is_foreign(run, gallery_path, cache_dir):
    document = json.loads(run.settings_path.read_text())
    document["settings"]["temperature"] = 3
    run.settings_path.write_text(json.dumps(document))

    with pytest.raises(BadRun, match="temperature"):
        load_run_material(run, gallery_path, cache_dir=cache_dir)


def test_a_network_that_gives_no_directions_for_views_is_told_with_the_items(
    settings, gallery_path, tmp_path, cache_dir
):
    """Its embeddings of the pictures are good: views show other things than they do."""
    shutil.copytree(gallery_path, tmp_path / "gallery")
    weights = load_file(tmp_path / "gallery" / "network.safetensors")
    broken = {name: value * torch.nan for name, value in weights.items() if "weight" in name}
    save_file(weights | broken, tmp_path / "gallery" / "network.safetensors")
    other_seed = settings.model_copy(update={"seed": 77})  # a bank that nobody has made
    material = load_material(other_seed, tmp_path / "gallery", cache_dir=cache_dir)

    with pytest.raises(BadEmbeddings, match=r"network\.safetensors gives must be finite .*class"):
        material.view_bank()


def test_pictures_that_changed_after_they_were_embedded_are_refused(
    pictures, gallery_path, tmp_path, cache_dir
):
    shutil.copytree(pictures, tmp_path / "pictures")
    for path in (tmp_path / "pictures").glob("*/*.png"):
        picture = np.asarray(Image.open(path))
        Image.fromarray(255 - picture).save(path)
    settings = SearchSettings(data=str(tmp_path / "pictures"), cost="macs", views_per_image=1)
    material = load_material(settings, gallery_path, cache_dir=cache_dir)

    with pytest.raises(BadGallery, match="as it is now, it has changed since; run `cmpc gallery e"):
        material.view_bank()


def test_views_and_classifier_agree_where_the_gallery_sees_what_queries_can_not(
    pictures, cache_dir, tmp_path
):
    folder = tmp_path / "pictures"
    shutil.copytree(pictures, folder)
    for label, name in enumerate(("alike a", "alike b")):  # equal at 32 px, not at 64 px
        (folder / name).mkdir()
        for number in range(2):
            pixels = np.full((64, 64, 3), 50 + 90 * number, np.uint8)
            pixels[0, 0] += label
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    large = load_image_set(str(folder), size_px=64, cache_dir=cache_dir)
    torch.manual_seed(0)
    shape = ResidualShape(name="tiny", input_size_px=64, depths=(1, 1), width=4, embedding_dim=8)
    num_classes = len(np.unique(large.labels[large.select(split="train")]))
    gallery = save_gallery_network(
        tmp_path / "gallery",
        GalleryNetwork(shape).eval(),
        torch.nn.functional.normalize(torch.randn(num_classes, 8), dim=1),
        large,
        facts={},
    )
    embed_gallery(gallery, large)
    settings = SearchSettings(data=str(folder), cost="macs", views_per_image=1, mixed_share=0)

    material = load_material(settings, tmp_path / "gallery", cache_dir=cache_dir)
    bank = material.view_bank()

    small = material.image_set
    assert (small.size_px, large.size_px) == (32, 64)
    trained = np.unique(small.labels[small.select(split="train")])
    assert len(trained) == len(material.directions) == num_classes
    shown = [large.item_names[place].split("/")[0] for place in large.select(split="train")]
    assert [small.class_names[trained[row]] for row in bank.labels] == shown
    stored = read_classifier(tmp_path / "gallery" / "classifier.safetensors")
    for row, label in enumerate(trained):
        torch.testing.assert_close(material.directions[row], stored[small.class_names[label]])


def test_views_are_numbered_by_the_names_of_their_classes(material, image_set):
    order = np.random.default_rng(0).permutation(image_set.num_classes)
    renumbered = replace(
        image_set,
        labels=np.argsort(order)[image_set.labels],
        class_names=tuple(image_set.class_names[label] for label in order),
    )

    rows = material._classifier_rows(renumbered)

    np.testing.assert_array_equal(rows, material._classifier_rows(image_set))
    is_training = np.isin(np.arange(len(rows)), image_set.select(split="train"))
    assert ((rows != NO_LABEL) == is_training).all()


def test_data_that_change_under_a_run_give_no_views(material, image_set, monkeypatch):
    others = replace(image_set, item_names=image_set.item_names[::-1])
    monkeypatch.setattr(material_module, "_load", lambda *_: others)

    with pytest.raises(BadData, match="must hold the same items"):
        material._make_views(None)


@pytest.mark.parametrize(("limit", "is_little"), [(2, False), (100, True)])
def test_a_search_says_on_how_much_it_judges(material, monkeypatch, limit, is_little):
    monkeypatch.setattr(material_module, "ENOUGH_VALIDATION_CLASSES", limit)
    count = material.image_set.counts()["validation"]

    note = material.note_on_validation()

    assert f"{count.num_classes} validation classes ({count.num_queries} queries" in note
    assert (f"fewer than {limit}" in note) == is_little


def test_the_classes_that_candidates_are_judged_on_are_those_that_validate(material):
    image_set, gallery_rows = make_known_set()

    note = replace(material, image_set=image_set, gallery_rows=gallery_rows).note_on_validation()

    assert f"{NUM_CLASSES + 1} validation classes ({NUM_QUERIES} queries, {NUM_GALLERY} " in note


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


def test_a_gallery_without_embeddings_says_how_to_make_them(
    settings, gallery_path, cache_dir, tmp_path
):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("gallery.json", "classes.json"):
        (bare / name).write_bytes((gallery_path / name).read_bytes())

    with pytest.raises(BadGallery, match="cmpc gallery embed"):
        load_material(settings, bare, cache_dir=cache_dir)


def test_views_are_made_once_and_read_from_then_on(material, monkeypatch):
    made = material.view_bank()
    monkeypatch.setattr(material_module, "make_views", None)  # calling it again would fail

    read = material.view_bank()

    assert torch.equal(read.views, made.views)
    assert torch.equal(read.labels, made.labels)
    assert torch.equal(read.targets, made.targets)


def test_views_of_another_augmentation_are_other_views(material, monkeypatch):
    made = material.view_bank()
    strong = partial(Augmentation, max_gain=0.9)
    for module in (material_module, views_module):
        monkeypatch.setattr(module, "Augmentation", strong)

    assert not torch.equal(material.view_bank().views, made.views)


@pytest.mark.parametrize("damage", ["cut", "emptied"])
def test_views_that_were_damaged_are_made_again(material, damage):
    made = material.view_bank()
    (path,) = (material.cache_dir / "views").glob(f"{material._view_key()}*")
    left = b"" if damage == "emptied" else path.read_bytes()[:-1000]
    path.unlink()  # banks are memory-mapped: what is in use must not shrink
    path.write_bytes(left)

    again = material.view_bank()

    assert torch.equal(again.views, made.views)
    assert torch.equal(again.targets, made.targets)


def test_views_of_a_network_are_partly_mixed_and_aim_at_what_it_sees(material):
    bank = material.view_bank()

    is_mixed = bank.labels == NO_LABEL
    assert 0 < is_mixed.sum() < len(bank.labels)
    seen = material.gallery.embed(bank.views.numpy())  # both networks read 32 px here
    np.testing.assert_allclose(bank.targets.float(), seen, atol=2e-2)


def test_views_of_ready_embeddings_aim_at_the_kept_rows_and_are_never_mixed(
    settings, ready_gallery_path, cache_dir
):
    material = load_material(settings, ready_gallery_path, cache_dir=cache_dir)

    bank = material.view_bank()

    positions = material.image_set.select(split="train")
    kept = read_embeddings(ready_gallery_path / EMBEDDINGS_FILE)
    rows = dict(zip(kept.item_names, kept.rows, strict=True))
    aims = np.stack([rows[material.image_set.item_names[position]] for position in positions])
    aims /= np.linalg.norm(aims, axis=1, keepdims=True)
    views_per_image = len(bank.views) // len(positions)
    assert views_per_image == settings.views_per_image
    np.testing.assert_allclose(bank.targets, np.tile(aims, (views_per_image, 1)), atol=1e-3)
    assert (bank.labels != NO_LABEL).all()


def test_ready_embeddings_that_name_a_network_do_not_get_its_views(
    settings, material, gallery_path, cache_dir, tmp_path
):
    sources = GallerySources(embeddings_path=gallery_path / EMBEDDINGS_FILE)
    import_gallery(tmp_path / "same", sources)
    ready = load_material(settings, tmp_path / "same", cache_dir=cache_dir)
    assert ready.hashes() == material.hashes()
    material.view_bank()

    assert (ready.view_bank().labels != NO_LABEL).all()
