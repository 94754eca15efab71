"""What a folder of images holds, and what is passed over in it: counted, and never in silence."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cmpc_search.data import load_image_set
from cmpc_search.data import passed_over as passed_over_module
from cmpc_search.data.picture_file import readable_suffixes
from cmpc_search.data.sources import folder as folder_module
from cmpc_search.data.sources.folder import FolderSource
from cmpc_search.errors import BadData

SavePicture = Callable[..., Path]


def told(folder: Path) -> set[tuple[str, str, int, int, str]]:
    return {
        (str(group.reason), group.suffix, group.depth, group.count, group.example)
        for group in FolderSource(folder).passed_over()
    }


def names(folder: Path) -> list[str]:
    return [picture.item_name for picture in FolderSource(folder).pictures()]


def test_a_folder_of_pictures_alone_passes_over_nothing(photos):
    assert told(photos) == set()
    assert len(names(photos)) == 36


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("class00/a.heic", ("suffix", ".heic", 2)),
        ("class00/notes.TXT", ("suffix", ".txt", 2)),
        ("class00/README", ("suffix", "", 2)),
        ("class00/new/a.png", ("deeper", ".png", 3)),
        ("class00/new/er/a.png", ("deeper", ".png", 4)),
        ("a.png", ("beside", ".png", 1)),
        ("class00/.a.png", ("hidden", ".png", 2)),
    ],
)
def test_what_is_passed_over_is_counted_by_reason_suffix_and_depth(
    photos, save_picture, path, group
):
    file = save_picture(photos / "x.png", seed=99)
    (photos / path).parent.mkdir(parents=True, exist_ok=True)
    file.rename(photos / path)

    assert told(photos) == {(*group, 1, path)}
    assert len(names(photos)) == 36


@pytest.mark.parametrize("name", ["__MACOSX", "@eaDir", ".thumbnails"])
def test_folders_of_other_programs_are_no_classes(photos, save_picture, name):
    save_picture(photos / name / "1.png", seed=99)

    ((_, _, depth, count, example),) = told(photos)

    assert (depth, count, example) == (1, 1, name)
    assert len(names(photos)) == 36


@pytest.mark.parametrize("name", ["__MACOSX", "thumbs", ".cache", "old"])
def test_a_folder_beside_query_and_gallery_does_not_undo_the_roles(tmp_path, save_picture, name):
    shop = tmp_path / "shop"
    for role in ("query", "gallery"):
        save_picture(shop / role / "chair" / "1.png", seed=len(role))
    save_picture(shop / name / "chair" / "1.png", seed=9)

    listed = FolderSource(shop).pictures()

    assert [(p.class_name, p.role) for p in listed] == [("chair", "gallery"), ("chair", "query")]
    assert [example.split("/")[0] for *_, example in told(shop)] == [name]


def test_classes_may_be_called_query_and_gallery(photos, save_picture):
    for name in ("query", "gallery"):
        save_picture(photos / name / "1.png", seed=len(name))

    assert {"query/1.png", "gallery/1.png"} < set(names(photos))


def test_a_link_to_nothing_is_named_and_read_once_it_leads_somewhere(
    photos, tmp_path, save_picture
):
    (photos / "class00" / "link.png").symlink_to(tmp_path / "target.png")
    before = load_image_set(photos, size_px=8, cache_dir=tmp_path / "cache")

    assert told(photos) == {("missing", ".png", 2, 1, "class00/link.png")}
    save_picture(tmp_path / "target.png", seed=99)
    after = load_image_set(photos, size_px=8, cache_dir=tmp_path / "cache")

    assert told(photos) == set()
    assert set(after.item_names) - set(before.item_names) == {"class00/link.png"}


def test_a_pipe_called_like_a_picture_is_passed_over(photos, tmp_path):
    os.mkfifo(photos / "class00" / "x.png")

    assert len(load_image_set(photos, size_px=8, cache_dir=tmp_path / "cache")) == 36
    assert told(photos) == {("special", ".png", 2, 1, "class00/x.png")}


def test_a_link_to_itself_is_passed_over(photos):
    (photos / "class00" / "x.png").symlink_to("x.png")

    assert told(photos) == {("missing", ".png", 2, 1, "class00/x.png")}


def test_counting_stops_somewhere_and_says_so(photos, save_picture, monkeypatch):
    monkeypatch.setattr(folder_module, "MAX_COUNTED", 2)
    monkeypatch.setattr(passed_over_module, "MAX_COUNTED", 2)
    for number in range(3):
        save_picture(photos / "class00" / "new" / f"{number}.png", seed=number)

    (group,) = FolderSource(photos).passed_over()

    assert group.describe().startswith("at least 2 .png files at depth 3")


def test_where_no_picture_is_found_it_is_said_what_is_there(photos):
    for path in photos.glob("*/*.png"):
        path.rename(path.with_suffix(".heic"))

    with pytest.raises(BadData, match=r"36 \.heic files at depth 2: no suffix .* convert them to"):
        names(photos)


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".ppm", ".JPEG"])
def test_every_suffix_that_pillow_reads_is_listed(photos, suffix):
    path = photos / "class00" / "0.png"
    path.rename(path.with_suffix(suffix))

    assert f"class00/0{suffix}" in names(photos)
    assert suffix.lower() in readable_suffixes()


def test_names_in_latin_1_are_written_with_their_bytes(photos, tmp_path):
    latin = os.fsencode(photos) + b"/caf\xe9"
    os.rename(photos / "class00", latin)
    os.rename(latin + b"/0.png", latin + b"/\xfc.png")

    image_set = load_image_set(photos, size_px=8, cache_dir=tmp_path / "cache")

    assert r"caf\xe9" in image_set.class_names
    assert r"caf\xe9/\xfc.png" in image_set.item_names
    assert len(image_set) == 36


@pytest.mark.parametrize("name", ["x" * 255, "猫" * 85, "🐈" * 63, os.fsdecode(b"\xe9" * 255)])
def test_names_as_long_as_the_file_system_allows_are_prepared(photos, tmp_path, name):
    shutil.move(photos, tmp_path / name)
    (tmp_path / name / "class00").rename(tmp_path / name / name)
    (tmp_path / name / name / "0.png").rename(tmp_path / name / name / (name[:-4] + ".png"))

    image_set = load_image_set(tmp_path / name, size_px=8, cache_dir=tmp_path / "cache")

    assert len(image_set) == 36
