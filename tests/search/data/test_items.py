"""What takes part is decided once, by content, and is the same at every size."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cmpc_search.data import DropReason, gallery_item_names, load_image, load_image_set
from cmpc_search.data.items import decide_items, read_items
from cmpc_search.data.reading import digests
from cmpc_search.data.sources import folder as folder_module
from cmpc_search.data.sources.base import Picture, Source
from cmpc_search.errors import BadData


def facts(image_set):
    """Everything but pixels and their hash."""
    return (
        image_set.item_names,
        image_set.class_names,
        image_set.labels.tolist(),
        image_set.split.tolist(),
        image_set.is_query.tolist(),
        image_set.drops,
    )


class MadeUpSource(Source):
    """Pictures of one colour each, told by number of colour, class and role."""

    name = "made up"
    licences = ()

    def __init__(self, facts):
        self.facts = facts

    def version(self):
        return repr(self.facts)

    def pictures(self):
        return [
            Picture(
                item_name=str(place),
                class_name=f"class {label}",
                read=lambda size_px, _=None, colour=colour: np.full(
                    (size_px, size_px, 3), colour, np.uint8
                ),
                role=role,
            )
            for place, (colour, label, role) in enumerate(self.facts)
        ]


def digests_of(source):
    pictures = source.pictures()
    reading = digests(len(pictures))
    return np.stack([reading.row(pictures, number) for number in range(len(pictures))])


def facts_with(roles):
    return st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 3), roles), min_size=4, max_size=24
    )


@settings(max_examples=50)
@given(facts_with(st.none()) | facts_with(st.sampled_from(["query", "gallery"])))
def test_what_stays_differs_in_pixels_and_has_a_partner_and_nothing_goes_without_reason(facts):
    source = MadeUpSource(facts)
    with tempfile.TemporaryDirectory() as folder:
        try:
            decide_items(source, source.pictures(), digests_of(source), Path(folder))
        except BadData:
            return  # nothing stays
        items = read_items(Path(folder))

    colours, labels, roles = zip(*facts, strict=True)
    kept = [int(name) for name in items.item_names]
    dropped = {int(one.item_name): one for one in items.drops.items}
    assert sorted([*kept, *dropped]) == list(range(len(facts)))
    assert len({colours[place] for place in kept}) == len(kept)
    for label in {labels[place] for place in kept}:
        sides = [roles[place] for place in kept if labels[place] == label]
        assert len(sides) > 1
        assert set(sides) in ({None}, {"query", "gallery"})
    for place, one in dropped.items():
        if one.reason == DropReason.LONE:
            assert labels[place] not in {labels[other] for other in kept}
            continue
        other = int(one.detail)
        assert colours[place] == colours[other]
        assert (labels[place] != labels[other]) == (one.reason == DropReason.IDENTICAL)
        if one.reason == DropReason.REPEATED:
            assert (roles[place], roles[other]) != ("gallery", "query")
            assert other in kept or dropped[other].reason == DropReason.LONE


@pytest.fixture
def alike_when_small(photos):
    """Photos with two classes whose pictures differ at 64 px by one faint pixel, not at 8 px."""
    for label, name in enumerate(("alike a", "alike b")):
        for number in range(2):
            pixels = np.full((64, 64, 3), 40 * number + 20, np.uint8)
            pixels[0, 0] += 2 * label
            (photos / name).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(photos / name / f"{number}.png")
    return photos


def test_every_size_has_the_same_items_classes_roles_and_splits(alike_when_small, tmp_path):
    sets = [
        load_image_set(alike_when_small, size_px=size_px, cache_dir=tmp_path, seed=1)
        for size_px in (8, 64, 224)
    ]

    assert {"alike a", "alike b"} < set(sets[0].class_names)
    a, b = (sets[0].item_names.index(f"alike {name}/0.png") for name in "ab")
    np.testing.assert_array_equal(sets[0].images[a], sets[0].images[b])  # the size is that small
    assert (sets[1].images[a] != sets[1].images[b]).any()
    assert facts(sets[0]) == facts(sets[1]) == facts(sets[2])


def test_another_size_looks_at_no_picture_that_was_left_out(photos, tmp_path):
    (photos / "class00" / "1.png").write_bytes(b"not a picture")
    load_image_set(photos, size_px=8, cache_dir=tmp_path)
    told = []

    load_image_set(photos, size_px=9, cache_dir=tmp_path, progress=lambda *step: told.append(step))

    assert told == [(done, 35) for done in range(1, 36)]


def test_progress_covers_every_reading_and_ends_at_its_total(photos, tmp_path):
    told = []

    load_image_set(photos, size_px=8, cache_dir=tmp_path, progress=lambda *step: told.append(step))

    assert [done for done, _ in told] == list(range(1, 73))
    assert told[-1] == (72, 72)


def test_copies_within_a_class_leave_one(photos, tmp_path):
    for folder in sorted(photos.iterdir()):
        (folder / "2.png").unlink()
        for number in range(2):
            shutil.copy(folder / f"{number}.png", folder / f"copy of {number}.png")

    image_set = load_image_set(photos, size_px=8, cache_dir=tmp_path)

    assert (image_set.drops.count(DropReason.REPEATED), image_set.drops.total) == (24, 24)
    assert len(np.unique(image_set.images.reshape(24, -1), axis=0)) == len(image_set) == 24
    told = {one.item_name: one.detail for one in image_set.drops.items}
    assert told["class03/copy of 1.png"] == "class03/1.png"


def test_a_class_of_copies_has_no_partner(photos, tmp_path):
    for name in ("a.png", "b.png"):
        (photos / "single").mkdir(exist_ok=True)
        shutil.copy(photos / "class00" / "0.png", photos / "single" / name)
    (photos / "class00" / "0.png").unlink()

    drops = load_image_set(photos, size_px=8, cache_dir=tmp_path).drops

    assert [(one.item_name, one.reason) for one in drops.items] == [
        ("single/a.png", "lone"),
        ("single/b.png", "repeated"),
    ]


def test_one_file_under_two_spellings_of_its_path_is_one(photos, tmp_path):
    rows = [f"{path.relative_to(tmp_path)},{path.parent.name}" for path in photos.rglob("*.png")]
    (tmp_path / "link").symlink_to(photos)
    again = ["./photos/class00/0.png,class00", "link/class00/0.png,class00"]
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows, *again]) + "\n")

    image_set = load_image_set(tmp_path / "list.csv", size_px=8, cache_dir=tmp_path)

    assert len(image_set) == 36
    assert {one.item_name for one in image_set.drops.items} == {
        "./photos/class00/0.png",
        "link/class00/0.png",
    }


@pytest.mark.parametrize(
    ("first", "second", "stays"),
    [
        ("train,query", "train,gallery", "second"),
        ("test,gallery", "test,query", "first"),
        ("test,query", "train,query", "second"),
        ("train,query", "test,gallery", "second"),
    ],
)
def test_of_two_equal_pictures_the_gallery_and_training_stay(
    tmp_path, save_picture, first, second, stays
):
    rows = ["path,label,split,role"]
    for label, split in enumerate(("train", "validation", "test") * 2):
        for role in ("query", "gallery"):
            path = save_picture(tmp_path / f"{label}{role}.png", seed=len(rows))
            rows.append(f"{path.name},class{label},{split},{role}")
    for name, where in {"first": first, "second": second}.items():
        save_picture(tmp_path / f"{name}.png", seed=99)
        rows.append(f"{name}.png,class0,{where}")
    (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")

    image_set = load_image_set(tmp_path / "list.csv", size_px=8, cache_dir=tmp_path)

    assert {"first.png", "second.png"} & set(image_set.item_names) == {f"{stays}.png"}
    assert image_set.drops.count(DropReason.REPEATED) == image_set.drops.total == 1


def test_class_folders_that_differ_by_blanks_are_one_class(tmp_path, save_picture):
    for label in range(7):
        for side, name in (("query", f"a  class {label}"), ("gallery", f"a class {label} ")):
            save_picture(tmp_path / "shop" / side / name / "1.png", seed=len(side) + 20 * label)

    image_set = load_image_set(tmp_path / "shop", size_px=8, cache_dir=tmp_path)

    assert image_set.class_names == tuple(f"a class {label}" for label in range(7))
    assert image_set.drops.total == 0


def test_gallery_names_are_those_of_every_size_and_prepare_none(photos, tmp_path):
    names = gallery_item_names(photos, cache_dir=tmp_path, seed=4)

    assert [path.name.split("-")[1] for path in (tmp_path / "data").iterdir()] == ["items"]
    image_set = load_image_set(photos, size_px=8, cache_dir=tmp_path, seed=4)
    gallery = image_set.select(role="gallery")
    assert names == [image_set.item_names[position] for position in gallery]


def test_a_picture_that_one_size_alone_can_not_show_is_named(photos, tmp_path, monkeypatch):
    def too_large(path, size_px, _=None):
        if size_px > 64:
            raise BadData("too large")
        return load_image(path, size_px)

    monkeypatch.setattr(folder_module, "load_image", too_large)
    load_image_set(photos, size_px=8, cache_dir=tmp_path)

    with pytest.raises(BadData, match=r"class00/0\.png was read at 64 px .* too large"):
        load_image_set(photos, size_px=65, cache_dir=tmp_path)

    assert not list((tmp_path / "data").glob("*-65px-*/image_set.json"))


def test_a_source_with_a_long_name_can_be_prepared(photos, tmp_path):
    photos.rename(tmp_path / ("é" * 120))

    assert len(load_image_set(tmp_path / ("é" * 120), size_px=8, cache_dir=tmp_path)) == 36
