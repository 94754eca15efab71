"""From pictures on disk to an ImageSet: what is kept, what is dropped, what is cached."""

import json
import shutil
import threading
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmpc_base.errors import UnknownName
from cmpc_search.data import Dropped, DropReason, Drops, load_image, load_image_set
from cmpc_search.data import cached_source as cached_source_module
from cmpc_search.errors import BadArgument, BadData


def load(source, cache_dir, **options):
    return load_image_set(source, size_px=8, cache_dir=cache_dir, **options)


def cached_folder(cache_dir: Path, what: str = "8px") -> Path:
    (folder,) = (cache_dir / "data").glob(f"*-{what}-*")
    return folder


def test_images_labels_and_names_belong_together(photos, tmp_path):
    image_set = load(photos, tmp_path)

    assert len(image_set) == 36
    assert image_set.num_classes == 12
    for position, name in enumerate(image_set.item_names):
        assert image_set.class_names[image_set.labels[position]] == name.split("/")[0]
        np.testing.assert_array_equal(image_set.images[position], load_image(photos / name, 8))


def test_a_cropped_set_has_the_same_items_with_other_pixels(photos, tmp_path):
    padded = load(photos, tmp_path)

    cropped = load(photos, tmp_path, crop_share=0.5)

    assert cropped.item_names == padded.item_names
    assert cropped.sha256 != padded.sha256
    path = photos / cropped.item_names[3]
    np.testing.assert_array_equal(cropped.images[3], load_image(path, 8, 0.5))
    np.testing.assert_array_equal(load(photos, tmp_path).images, padded.images)


def test_each_class_is_in_one_split_with_queries_and_gallery(photos, tmp_path):
    image_set = load(photos, tmp_path)

    assert image_set.is_open_set
    sizes = {
        split: (c.num_classes, c.num_queries, c.num_gallery)
        for split, c in image_set.counts().items()
    }
    assert sizes == {"train": (6, 6, 12), "validation": (3, 3, 6), "test": (3, 3, 6)}


def test_select_names_the_images_of_a_split_and_a_role(photos, tmp_path):
    image_set = load(photos, tmp_path)

    queries = image_set.select(split="test", role="query")
    gallery = image_set.select(split="test", role="gallery")

    assert np.all(image_set.is_query[queries])
    assert not np.any(image_set.is_query[gallery])
    assert sorted([*queries, *gallery]) == image_set.select(split="test").tolist()
    assert image_set.select().tolist() == list(range(36))
    with pytest.raises(BadArgument, match="no split is called 'tset'; choose one of train"):
        image_set.select(split="tset")


def test_a_subset_keeps_labels_and_has_its_own_sha256(photos, tmp_path):
    image_set = load(photos, tmp_path)

    part = image_set.subset(np.array([5, 2]))

    assert part.item_names == (image_set.item_names[5], image_set.item_names[2])
    np.testing.assert_array_equal(part.images[1], image_set.images[2])
    assert part.labels.tolist() == image_set.labels[[5, 2]].tolist()
    assert part.sha256 != image_set.sha256


def test_another_seed_is_another_split_without_preparing_again(photos, tmp_path):
    first = load(photos, tmp_path, seed=0)
    shown = []

    second = load(photos, tmp_path, seed=1, progress=lambda done, total: shown.append(done))

    assert shown == []
    assert first.sha256 != second.sha256
    assert first.split.tolist() != second.split.tolist()
    assert load(photos, tmp_path, seed=0).sha256 == first.sha256


def test_the_sha256_does_not_depend_on_where_the_cache_is(photos, tmp_path):
    assert load(photos, tmp_path / "a").sha256 == load(photos, tmp_path / "b").sha256


def test_an_edited_picture_is_prepared_again(photos, tmp_path, save_picture):
    before = load(photos, tmp_path)
    save_picture(photos / "class03" / "1.png", seed=999)

    after = load(photos, tmp_path)

    assert after.sha256 != before.sha256
    np.testing.assert_array_equal(
        after.images[after.item_names.index("class03/1.png")],
        load_image(photos / "class03" / "1.png", 8),
    )


def test_a_broken_picture_is_left_out_and_counted(photos, tmp_path):
    (photos / "class00" / "1.png").write_bytes(b"not a picture")

    image_set = load(photos, tmp_path)

    (dropped,) = image_set.drops.items
    assert (dropped.item_name, dropped.reason) == ("class00/1.png", "broken")
    assert dropped.detail.startswith("its content has no format")  # the name stands before it
    assert "class00/1.png" not in image_set.item_names


def test_a_class_with_one_picture_is_left_out_and_counted(photos, tmp_path, save_picture):
    save_picture(photos / "alone" / "1.png", seed=500)

    image_set = load(photos, tmp_path)

    lone = Dropped(item_name="alone/1.png", reason=DropReason.LONE, detail="alone")
    assert image_set.drops == Drops(items=(lone,))
    assert "alone" not in image_set.class_names


def test_equal_pictures_of_two_classes_are_both_left_out_and_counted(photos, tmp_path):
    shutil.copy(photos / "class00" / "0.png", photos / "class01" / "copy.png")

    image_set = load(photos, tmp_path)

    told = {one.item_name: (one.reason, one.detail) for one in image_set.drops.items}
    assert told == {
        "class00/0.png": ("identical", "class01/copy.png"),
        "class01/copy.png": ("identical", "class00/0.png"),
    }
    assert set(told).isdisjoint(image_set.item_names)


def test_an_empty_split_is_told_with_its_numbers(photos, tmp_path):
    for folder in sorted(photos.iterdir())[2:]:
        shutil.rmtree(folder)

    with pytest.raises(BadData, match=r"at least 2 classes, which takes 6, got 2 usable classes"):
        load(photos, tmp_path)


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("8px", "images.npy"),
        ("8px", "image_set.json"),
        ("items", "labels.npy"),
        ("items", "image_set.json"),
    ],
)
def test_damaged_data_in_the_cache_are_made_again_with_a_warning(photos, tmp_path, what, name):
    before = load(photos, tmp_path)
    path = cached_folder(tmp_path, what) / name
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)

    notices = []
    after = load(photos, tmp_path, on_notice=notices.append)

    assert ["damaged" in notice for notice in notices] == [True]
    assert after.sha256 == before.sha256
    assert load(photos, tmp_path, on_notice=notices.append).sha256 == before.sha256
    assert len(notices) == 1


def test_a_changed_name_in_the_record_is_noticed(photos, tmp_path):
    before = load(photos, tmp_path)
    path = cached_folder(tmp_path, "items") / "image_set.json"
    record = json.loads(path.read_text())
    record["class_names"][0] = "another"
    path.write_text(json.dumps(record))

    notices = []
    assert load(photos, tmp_path, on_notice=notices.append).class_names == before.class_names
    assert ["damaged" in notice for notice in notices] == [True]


def test_two_that_prepare_at_once_both_get_the_set_and_one_of_them_makes_it(photos, tmp_path):
    is_other_started, found, told = threading.Event(), [], []

    def wait(done, total):
        is_other_started.wait(timeout=10)

    def load_too():
        is_other_started.set()
        found.append(load(photos, tmp_path, progress=lambda *step: told.append(step)))

    threads = [
        threading.Thread(target=lambda: found.append(load(photos, tmp_path, progress=wait))),
        threading.Thread(target=load_too),
    ]
    threads[0].start()
    while not list(tmp_path.glob("data/*.unfinished/digests.npy")):
        assert threads[0].is_alive()
    threads[1].start()
    for thread in threads:
        thread.join(timeout=20)

    assert len({image_set.sha256 for image_set in found}) == 1
    assert len(found) == 2
    assert len(told) <= 36  # the digests were never its to read
    assert {path.suffix for path in (tmp_path / "data").iterdir()} == {""}


def test_too_little_space_is_told_before_work_starts(photos, tmp_path):
    with pytest.raises(BadData, match=r"MB must be free"):
        load_image_set(photos, size_px=10_000_000, cache_dir=tmp_path)


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'emoji9'"):
        load("emogi9", tmp_path)


def test_a_folder_named_like_a_known_set_is_reached_by_its_path(photos, tmp_path, monkeypatch):
    photos.rename(tmp_path / "emoji")
    monkeypatch.chdir(tmp_path)

    assert load("./emoji", tmp_path / "cache").num_classes == 12


def test_the_images_are_read_only_and_on_disk(photos, tmp_path):
    image_set = load(photos, tmp_path)

    assert isinstance(image_set.images, np.memmap)
    assert not image_set.images.flags.writeable


def test_folders_of_queries_and_gallery_give_the_roles(tmp_path, save_picture):
    for label in range(12):
        save_picture(tmp_path / "shop" / "query" / f"c{label}" / "a.png", seed=2 * label)
        save_picture(tmp_path / "shop" / "gallery" / f"c{label}" / "a.png", seed=2 * label + 1)
    save_picture(tmp_path / "shop" / "gallery" / "unasked" / "a.png", seed=777)
    save_picture(tmp_path / "shop" / "gallery" / "unasked" / "b.png", seed=778)

    image_set = load(tmp_path / "shop", tmp_path)

    asks = [name.startswith("query/") for name in image_set.item_names]
    assert image_set.is_query.tolist() == asks
    assert sum(asks) == 12
    assert image_set.drops.count(DropReason.LONE) == image_set.drops.total == 2


def test_pictures_beside_class_folders_are_no_data_set(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")

    with pytest.raises(BadData, match="a folder of images per class"):
        load(tmp_path, tmp_path / "cache")


@pytest.mark.parametrize("package", ["pillow", "resvg-py"])
def test_a_newer_library_that_draws_means_a_new_preparation(photos, tmp_path, monkeypatch, package):
    load(photos, tmp_path)
    monkeypatch.setattr(
        cached_source_module, "version", lambda name: "99.0" if name == package else version(name)
    )
    shown = []

    load(photos, tmp_path, progress=lambda done, total: shown.append(done))

    assert shown[-1] == 72  # each picture is looked at once, and read once at the size
