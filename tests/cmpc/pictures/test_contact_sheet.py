"""The sheet shows the pixels that networks get, and names every class."""

import numpy as np
import pytest
from PIL import Image

from cmpc.pictures.contact_sheet import draw_contact_sheet, write_contact_sheet
from cmpc_search.data import Drops, ImageSet
from cmpc_search.errors import BadArgument


def image_set(size_px: int = 64, *, name: str = "toys", first_class: str = "class0") -> ImageSet:
    """Return six classes of three noisy pictures, the first of each a query, all of them tested."""
    noise = np.random.default_rng(0)
    return ImageSet(
        name=name,
        images=noise.integers(0, 256, (18, size_px, size_px, 3), dtype=np.uint8),
        labels=np.repeat(np.arange(6), 3),
        class_names=(first_class, *(f"class{label}" for label in range(1, 6))),
        is_query=np.tile([True, False, False], 6),
        split=np.full(18, 2, np.int8),
        item_names=tuple(f"item{number}" for number in range(18)),
        sha256="0" * 64,
        licences=(),
        drops=Drops(),
    )


def contains(sheet: np.ndarray, picture: np.ndarray) -> bool:
    windows = np.lib.stride_tricks.sliding_window_view(sheet[..., 0], picture.shape[:2])
    rows, columns = np.nonzero(windows[..., 0, 0] == picture[0, 0, 0])
    return any(
        np.array_equal(sheet[r : r + len(picture), c : c + len(picture)], picture)
        for r, c in zip(rows, columns, strict=True)
    )


def test_each_chosen_class_shows_its_query_and_gallery_pixels(tmp_path):
    toys = image_set()

    names = write_contact_sheet(toys, tmp_path / "s.png", split="test", num_classes=2)

    with Image.open(tmp_path / "s.png") as opened:
        sheet = np.asarray(opened)
    assert names == ["class0", "class5"]
    for image, label in zip(toys.images, toys.labels, strict=True):
        assert contains(sheet, image) == (toys.class_names[label] in names)


def test_more_classes_than_there_are_show_all(tmp_path):
    assert len(write_contact_sheet(image_set(8), tmp_path / "s.png", num_classes=99)) == 6


def test_no_class_is_refused(tmp_path):
    with pytest.raises(BadArgument, match="num_classes=0"):
        write_contact_sheet(image_set(8), tmp_path / "s.png", num_classes=0)

    assert not (tmp_path / "s.png").exists()


@pytest.mark.parametrize("name", ["a\nb", "猫", "🐈‍⬛", "\udce9", "x" * 255, "é" * 120, ""])
def test_a_sheet_of_any_names_is_drawn(name):
    sheet, names = draw_contact_sheet(
        image_set(8, name=name, first_class=name), split="test", num_classes=6
    )

    assert names[0] == name
    assert sheet.width > 0


def test_a_split_without_classes_is_refused(tmp_path):
    with pytest.raises(BadArgument, match=r"must have classes, toys has none in train"):
        write_contact_sheet(image_set(), tmp_path / "s.png", split="train", num_classes=3)
