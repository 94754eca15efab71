"""The views of a run are made once, of pictures as large as the gallery network reads them."""

import errno
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from cmpc_base import locks
from cmpc_search.compatibility.base import NO_LABEL
from cmpc_search.data import load_image_set
from cmpc_search.embeddings import EMBEDDINGS_FILE, read_embeddings
from cmpc_search.errors import BadData, BadEmbeddings, BadGallery
from cmpc_search.gallery import (
    Gallery,
    GallerySources,
    embed_gallery,
    import_gallery,
    open_gallery,
    read_classifier,
    save_gallery_network,
)
from cmpc_search.networks.gallery.base import GalleryNetwork
from cmpc_search.networks.gallery.residual import ResidualShape
from cmpc_search.networks.onnx_export import export_network
from cmpc_search.pixels import resize_images, to_float
from cmpc_search.stages import material as material_module
from cmpc_search.stages import view_banks as stage_module
from cmpc_search.stages.material import load_material
from cmpc_search.stages.settings import SearchSettings
from cmpc_search.stages.view_banks import make_view_bank
from cmpc_search.testing.views import STILL
from cmpc_search.training.augmentation.drawing import Drawing
from cmpc_search.training.checkpoint import write_weights


def test_a_network_that_gives_no_directions_for_views_is_told_with_the_items(
    settings, gallery_path, tmp_path, cache_dir
):
    """Its embeddings of the pictures are good: views show other things than they do."""
    shutil.copytree(gallery_path, tmp_path / "gallery")
    broken = GalleryNetwork(open_gallery(tmp_path / "gallery").record.network).eval()
    for weight in broken.parameters():
        torch.nn.init.constant_(weight, torch.nan)
    export_network(broken, tmp_path / "gallery" / "network.onnx")
    write_weights(tmp_path / "gallery" / "network.safetensors", broken)
    other_seed = settings.model_copy(update={"seed": 77})  # a bank that nobody has made
    material = load_material(other_seed, tmp_path / "gallery", cache_dir=cache_dir)

    with pytest.raises(BadEmbeddings, match=r"network\.\w+ gives must be finite .*class"):
        make_view_bank(material)


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
        make_view_bank(material)


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
    settings = SearchSettings(
        data=str(folder), cost="macs", input_size_px=32, views_per_image=1, mixed_share=0
    )

    material = load_material(settings, tmp_path / "gallery", cache_dir=cache_dir)
    bank = make_view_bank(material)

    small = material.image_set
    assert (small.size_px, large.size_px) == (32, 64)
    trained = np.unique(small.labels[small.select(split="train")])
    assert len(trained) == len(material.gallery_bank.class_directions) == num_classes
    shown = [large.item_names[place].split("/")[0] for place in large.select(split="train")]
    labels = bank.labels_of(torch.arange(len(bank)))
    assert [small.class_names[trained[row]] for row in labels] == shown
    stored = read_classifier(tmp_path / "gallery" / "classifier.safetensors")
    for row, label in enumerate(trained):
        torch.testing.assert_close(
            material.gallery_bank.class_directions[row], stored[small.class_names[label]]
        )


def test_views_are_embedded_in_a_cache_whose_file_system_has_no_locks(
    settings, gallery_path, cache_dir, monkeypatch
):
    def refuse(*_, **__):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks, "lock", refuse)
    other_seed = settings.model_copy(update={"seed": 78})  # a bank that nobody has made

    bank = make_view_bank(load_material(other_seed, gallery_path, cache_dir=cache_dir))

    assert len(bank) == len(bank.gallery_embeddings) > 0


def test_data_that_change_under_a_run_give_no_views(material, image_set, monkeypatch):
    others = replace(image_set, item_names=image_set.item_names[::-1])
    monkeypatch.setattr(material_module, "load_image_set", lambda *_, **__: others)

    with pytest.raises(BadData, match="must hold the same items"):
        make_view_bank(material)


def test_views_are_of_the_training_pictures_each_with_its_own_name_and_class(material, monkeypatch):
    told = []
    embed = Gallery.embed
    monkeypatch.setattr(
        Gallery, "embed", lambda *given, **how: told.extend(given[2]) or embed(*given, **how)
    )
    still = material.settings.model_copy(
        update={"augmentation": STILL, "mixed_share": 0.0, "seed": 11}
    )

    bank = make_view_bank(replace(material, settings=still))

    image_set = material.image_set
    positions = image_set.select(split="train")
    assert set(positions) != set(range(len(positions)))  # nor are they the first
    numbers = torch.arange(len(bank))
    shown = positions[bank.item_ids(numbers)]
    np.testing.assert_array_equal(bank.views(numbers), image_set.images[shown])
    assert told == [image_set.item_names[at] for at in shown]
    classes = np.unique(image_set.labels[positions])
    np.testing.assert_array_equal(classes[bank.labels_of(numbers)], image_set.labels[shown])


def test_views_are_embedded_once_and_only_their_embeddings_are_kept(material, monkeypatch):
    made = make_view_bank(material)
    monkeypatch.setattr(Gallery, "embed", None)  # calling it again would fail
    monkeypatch.setattr(
        stage_module, "exclusive_if_possible", None
    )  # a cache may be one that is only read

    read = make_view_bank(material)

    numbers = torch.arange(len(made))
    assert torch.equal(read.views(numbers), made.views(numbers))
    np.testing.assert_array_equal(read.gallery_embeddings, made.gallery_embeddings)
    num_bytes = sum(path.stat().st_size for path in stage_module._folder_of(material).iterdir())
    assert num_bytes <= len(made) * material.gallery.embedding_dim * 2 + 200


def test_views_are_made_of_pictures_larger_than_they_are_to_be_sharp(material):
    still = STILL.model_copy(update={"supersampling": 2})
    settings = material.settings.model_copy(update={"augmentation": still, "mixed_share": 0.0})

    bank = make_view_bank(replace(material, settings=settings))

    positions = material.image_set.select(split="train")
    large = material.load_at(64).images[positions].astype(np.float32)
    shrunk = large.reshape(-1, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    views = bank.views(torch.arange(len(positions))).numpy()
    np.testing.assert_allclose(views, shrunk, atol=0.51)


def test_an_architecture_gets_the_same_views_at_its_own_size(material):
    smooth = material.settings.model_copy(update={"seed": 21})
    material = replace(material, settings=smooth)
    small = replace(material, space=replace(material.space, input_size_px=16))

    largest = make_view_bank(material)
    own = make_view_bank(small, architecture=small.space.smallest())

    numbers = torch.arange(len(largest))
    shrunk = resize_images(to_float(largest.views(numbers)), 16)
    seen = to_float(own.views(numbers))
    apart, others = ((shrunk - one).abs().mean() for one in (seen, seen.roll(1, dims=0)))
    assert apart < others / 4
    np.testing.assert_array_equal(own.gallery_embeddings, largest.gallery_embeddings)


def test_views_of_another_augmentation_are_other_views(material):
    made = make_view_bank(material)
    strong = Drawing(max_gain=0.9)
    others = replace(
        material, settings=material.settings.model_copy(update={"augmentation": strong})
    )

    other = make_view_bank(others)

    numbers = torch.arange(len(made))
    assert not torch.equal(other.views(numbers), made.views(numbers))
    assert (other.gallery_embeddings != made.gallery_embeddings).any()


def test_views_of_styles_that_are_drawn_otherwise_are_other_views(material, monkeypatch):
    before = stage_module._folder_of(material)

    monkeypatch.setattr(stage_module, "STYLES_VERSION", stage_module.STYLES_VERSION + 1)

    assert stage_module._folder_of(material) != before


@pytest.mark.parametrize("damage", ["cut", "emptied", "overwritten"])
def test_banks_that_were_damaged_are_made_whole_again(material, damage):
    made = make_view_bank(material)
    path = stage_module._folder_of(material) / "embeddings.npy"
    whole = path.read_bytes()
    left = {"cut": whole[:-100], "emptied": b"", "overwritten": bytes(len(whole))}[damage]
    path.unlink()  # it is memory-mapped: what is in use must not shrink
    path.write_bytes(left)
    notices = []

    again = make_view_bank(material, on_notice=notices.append)

    np.testing.assert_array_equal(again.gallery_embeddings, made.gallery_embeddings)
    assert [notice.startswith("the views are embedded again") for notice in notices] == (
        [True] if damage == "overwritten" else []
    )


def test_views_of_a_network_are_partly_mixed_and_aim_at_what_it_sees(material):
    bank = make_view_bank(material)

    numbers = torch.arange(len(bank))
    is_mixed = bank.labels_of(numbers) == NO_LABEL
    assert 0 < is_mixed.sum() < len(bank)
    seen = material.gallery.embed(bank.views(numbers).numpy())  # both networks read 32 px here
    np.testing.assert_allclose(bank.gallery_embeddings, seen, atol=2e-2)


def test_views_of_ready_embeddings_aim_at_the_kept_rows_and_are_never_mixed(
    settings, ready_gallery_path, cache_dir
):
    material = load_material(settings, ready_gallery_path, cache_dir=cache_dir)

    bank = make_view_bank(material)

    positions = material.image_set.select(split="train")
    kept = read_embeddings(ready_gallery_path / EMBEDDINGS_FILE)
    rows = dict(zip(kept.item_names, kept.rows, strict=True))
    aims = np.stack([rows[material.image_set.item_names[position]] for position in positions])
    aims /= np.linalg.norm(aims, axis=1, keepdims=True)
    views_per_image = len(bank) // len(positions)
    assert views_per_image == settings.views_per_image
    np.testing.assert_allclose(
        bank.gallery_embeddings, np.tile(aims, (views_per_image, 1)), atol=1e-3
    )
    assert (bank.labels_of(torch.arange(len(bank))) != NO_LABEL).all()


@pytest.mark.parametrize("mixed_share", [0.5, 0.0])
def test_ready_embeddings_that_name_a_network_do_not_get_its_views(
    settings, mixed_share, gallery_path, cache_dir, tmp_path
):
    settings = settings.model_copy(update={"mixed_share": mixed_share})
    sources = GallerySources(embeddings_path=gallery_path / EMBEDDINGS_FILE)
    import_gallery(tmp_path / "same", sources)
    material, ready = (
        load_material(settings, path, cache_dir=cache_dir)
        for path in (gallery_path, tmp_path / "same")
    )
    assert ready.hashes() == material.hashes()
    of_network = make_view_bank(material)

    bank = make_view_bank(ready)

    assert (bank.labels_of(torch.arange(len(bank))) != NO_LABEL).all()
    assert (bank.gallery_embeddings != of_network.gallery_embeddings).any()
