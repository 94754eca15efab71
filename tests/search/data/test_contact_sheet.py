"""The sheet shows the pixels that networks get."""

import numpy as np
import pytest
from PIL import Image

from cmpc_search.data import load_image_set
from cmpc_search.data.contact_sheet import write_contact_sheet
from cmpc_search.errors import BadArgument


def contains(sheet: np.ndarray, picture: np.ndarray) -> bool:
    windows = np.lib.stride_tricks.sliding_window_view(sheet[..., 0], picture.shape[:2])
    rows, columns = np.nonzero(windows[..., 0, 0] == picture[0, 0, 0])
    return any(
        np.array_equal(sheet[r : r + len(picture), c : c + len(picture)], picture)
        for r, c in zip(rows, columns, strict=True)
    )


def test_each_chosen_class_shows_its_query_and_gallery_pixels(photos, tmp_path):
    image_set = load_image_set(photos, size_px=64, cache_dir=tmp_path)

    names = write_contact_sheet(image_set, tmp_path / "s.png", split="test", num_classes=2)

    with Image.open(tmp_path / "s.png") as opened:
        sheet = np.asarray(opened)
    shown = [image_set.class_names[label] in names for label in image_set.labels]
    assert len(names) == 2
    for position in image_set.select(split="test"):
        assert contains(sheet, image_set.images[position]) == shown[position]


def test_more_classes_than_there_are_show_all(photos, tmp_path):
    image_set = load_image_set(photos, size_px=8, cache_dir=tmp_path)

    names = write_contact_sheet(image_set, tmp_path / "s.png", split="test", num_classes=99)

    assert len(names) == image_set.counts()["test"].num_classes


def test_no_class_is_refused(photos, tmp_path):
    image_set = load_image_set(photos, size_px=8, cache_dir=tmp_path)

    with pytest.raises(BadArgument, match="num_classes=0"):
        write_contact_sheet(image_set, tmp_path / "s.png", num_classes=0)

    assert not (tmp_path / "s.png").exists()
