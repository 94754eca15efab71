"""CSV files: what they may say, and that a mistake is named with its line."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmpc_search.data import NO_CLASS, load_image_set, numbered_from_zero
from cmpc_search.errors import BadData


@pytest.fixture
def write_csv(tmp_path, save_picture):
    """Return a function that writes a CSV beside twelve pictures a0.png to a11.png."""
    for number in range(12):
        save_picture(tmp_path / f"a{number}.png", seed=number)

    def write(*lines: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "list.csv"
        path.write_text("\n".join(lines) + "\n", encoding=encoding)
        return path

    return write


SPLITS = ("train", "train", "validation", "validation", "test", "test")
ROWS = tuple(
    f"a{2 * label + side}.png,{name},{split},{role}"
    for label, (name, split) in enumerate(zip("uvwxyz", SPLITS, strict=True))
    for side, role in enumerate(("query", "gallery"))
)


def load(path, **options):
    return load_image_set(str(path), size_px=8, cache_dir=path.parent / "cache", **options)


def test_splits_and_roles_are_taken_as_written(write_csv):
    image_set = load(write_csv("path,label,split,role", *ROWS))

    assert image_set.item_names == tuple(f"a{number}.png" for number in range(12))
    assert image_set.split.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert image_set.is_query.tolist() == [True, False] * 6
    assert image_set.class_names == tuple("uvwxyz")


def test_a_group_is_taken_as_written_and_makes_another_data_set(write_csv):
    cameras = [f"camera {number % 3}" for number in range(12)]
    rows = [f"{row},{camera}" for row, camera in zip(ROWS, cameras, strict=True)]

    image_set = load(write_csv("path,label,split,role,group", *rows))

    assert image_set.groups == tuple(cameras)
    assert image_set.subset(np.array([4, 2])).groups == ("camera 1", "camera 2")
    without = load(write_csv("path,label,split,role", *ROWS))
    assert without.groups is None
    assert without.sha256 != image_set.sha256


def test_a_group_that_is_blank_is_named_with_its_line(write_csv):
    rows = [f"{row},{'' if number == 3 else 'x'}" for number, row in enumerate(ROWS)]

    with pytest.raises(BadData, match=r"line 5 .* must have the group"):
        load(write_csv("path,label,split,role,group", *rows))


def test_an_item_goes_by_the_id_that_a_database_has_for_it(write_csv):
    ids = [f"sku {9 * number} " for number in range(12)]
    rows = [f"{row},{item_id}" for row, item_id in zip(ROWS, ids, strict=True)]

    image_set = load(write_csv("path,label,split,role,id", *rows))

    assert image_set.item_names == tuple(ids)
    with pytest.raises(BadData, match=r"line 5 .* must have the id"):
        load(write_csv("path,label,split,role,id", *rows[:3], f"{ROWS[3]},", *rows[4:]))
    with pytest.raises(BadData, match="'sku 0 '"):
        load(write_csv("path,label,split,role,id", *rows[:3], f"{ROWS[3]},sku 0 ", *rows[4:]))


def test_where_classes_are_in_every_split_each_of_them_asks_in_each(tmp_path, save_picture):
    rows = [
        f"{save_picture(tmp_path / f'{number}.png', seed=number).name},{name},{split}"
        for number, (name, split) in enumerate(
            (name, split) for name in "uv" for split in ("train", "validation", "test") * 4
        )
    ]
    path = tmp_path / "list.csv"
    path.write_text("\n".join(["path,label,split", *rows]) + "\n")

    image_set = load(path)

    assert not image_set.is_open_set
    for split in ("train", "validation", "test"):
        asked = image_set.labels[image_set.select(split=split, role="query")]
        assert asked.tolist() == [0, 1]  # a third of four


def test_a_spreadsheets_byte_order_mark_and_other_column_order_are_read(write_csv):
    lines = ["role,split,label,path", *(",".join(row.split(",")[::-1]) for row in ROWS)]

    found = load(write_csv(*lines, encoding="utf-8-sig"))

    assert found.split.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_absolute_paths_are_read(write_csv, tmp_path):
    image_set = load(write_csv("path,label,split,role", *(f"{tmp_path}/{row}" for row in ROWS)))

    assert image_set.item_names[0] == f"{tmp_path}/a0.png"


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (ROWS[:8], "train 2, validation 2, test 0"),
        (ROWS[:6] + ROWS[8:], "train 2, validation 1, test 2"),
    ],
)
def test_a_written_split_in_which_every_network_scores_alike_is_refused(write_csv, rows, told):
    with pytest.raises(BadData, match=f"at least 2 classes .* got {told}"):
        load(write_csv("path,label,split,role", *rows))


def test_blanks_and_unicode_forms_make_no_other_label_role_split_or_column(write_csv):
    composed, decomposed = "caf\u00e9 noir", "  cafe\u0301\u00a0  noir "
    rows = [row.replace(",u,", f",{composed},") for row in ROWS]
    rows[1] = f"a1.png,{decomposed},train , gallery"

    image_set = load(write_csv("path, label,split ,role", *rows))

    assert image_set.class_names == (composed, *"vwxyz")
    assert image_set.labels[:2].tolist() == [0, 0]
    assert image_set.is_query[:2].tolist() == [True, False]
    assert image_set.drops.total == 0


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("path,label,split,role", "a1.png,x,trian,query", r"split in line 3 .* got 'trian'"),
        ("path,label,split,role", "a1.png,x,train,", r"role in line 3 .* got ''"),
        ("path,label,split,role", "a1.png,x,train", r"line 3 .* as many cells"),
        ("path,label,split,role", "a1.png,x,train,query,more", r"line 3 .* as many cells"),
        ("path,label,split,role", ",x,train,query", r"line 3 .* must have a path"),
        ("path,label,split,role", "a1.png,,test,query", r"line 3 .* a label, or be .* train"),
        ("path,label,split,role", "a1.png, ,validation,query", r"line 3 .* a label, or be"),
        ("path,label,split,role", "gone.png,x,train,query", r"1 of 2 .*gone\.png' in line 3"),
        ("path,label,split,role", "a0.png,x,train,query", r"unique, got 'a0\.png' twice"),
        (
            "path,label,split,roll",
            "a1.png,x,train,query",
            r"may name split, role, group and id, got .*roll",
        ),
        ("path,class,split,role", "a1.png,x,train,query", r"must name the columns path and label"),
    ],
)
def test_a_mistake_is_named_with_its_place(write_csv, header, row, message):
    with pytest.raises(BadData, match=message):
        load(write_csv(header, ROWS[0], row))


def test_a_path_too_long_for_any_file_is_named_with_its_line(write_csv):
    with pytest.raises(BadData, match=r"1 of 2 are not; the first is '.*x' in line 3"):
        load(write_csv("path,label,split,role", ROWS[0], f"{'x' * 300},u,train,query"))


def test_a_file_that_is_no_text_is_refused(write_csv):
    path = write_csv("path,label")
    path.write_bytes(b"\xff\xfe\x00path")

    with pytest.raises(BadData, match=r"must be text in UTF-8, and is not: .* save it"):
        load(path)


def with_two_that_have_no_label(write_csv, header, rows):
    """Two without a label, of which one has the pixels of one that tests."""
    folder = write_csv("").parent
    shutil.copy(folder / "a11.png", folder / "copy.png")
    Image.new("RGB", (6, 6), "red").save(folder / "red.png")
    known = ",train,query" if "split" in header else ""
    return write_csv(header, *rows, f"copy.png,{known}", f"red.png,{known}")


def test_an_image_without_a_label_is_trained_on_and_is_of_no_class(write_csv):
    image_set = load(with_two_that_have_no_label(write_csv, "path,label,split,role", ROWS))

    assert image_set.item_names[-1] == "red.png"
    assert (image_set.labels[-1], image_set.split[-1]) == (NO_CLASS, 0)
    assert image_set.has_class.tolist() == [True] * 12 + [False]
    assert image_set.class_names == tuple("uvwxyz")
    assert image_set.counts()["train"].num_classes == 2
    assert image_set.is_open_set
    (copy,) = image_set.drops.items
    assert (copy.item_name, copy.reason, copy.detail) == ("copy.png", "repeated", "a11.png")


def test_where_the_seed_decides_an_image_without_a_label_trains_and_never_asks(write_csv):
    rows = [",".join(row.split(",")[:2]) for row in ROWS]
    path = with_two_that_have_no_label(write_csv, "path,label", rows)

    for seed in range(5):
        image_set = load(path, seed=seed)
        assert (image_set.labels[-1], image_set.split[-1]) == (NO_CLASS, 0)
        assert not image_set.is_query[-1]
        assert image_set.is_query.sum() == 6


def test_numbering_from_zero_keeps_what_has_no_class():
    numbered = numbered_from_zero(np.array([7, NO_CLASS, 3, 7, NO_CLASS, 9]))

    assert numbered.tolist() == [1, NO_CLASS, 0, 1, NO_CLASS, 2]
