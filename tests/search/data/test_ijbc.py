"""IJB-C in small: its lists are read as they are passed on, and it only tests."""

import shutil
from collections import Counter

import pytest
from made_up_ijbc import NUM_FACES, NUM_SUBJECTS, make_ijbc

from cmpc_search.data import load_image_set, load_templates
from cmpc_search.data.sources.catalogue import use_copy
from cmpc_search.data.sources.ijbc import IjbcSource
from cmpc_search.errors import BadData
from cmpc_search.testing.sources import SourceContract


@pytest.fixture
def folder(tmp_path):
    return make_ijbc(tmp_path / "IJBC")


class TestIjbc(SourceContract):
    @pytest.fixture
    def make_source(self, folder):
        return lambda: IjbcSource(folder)


@pytest.fixture
def cache_dir(folder, tmp_path):
    use_copy("ijbc", folder.parent, tmp_path / "cache")
    return tmp_path / "cache"


def test_all_pictures_test_and_stay_though_some_are_equal(folder, cache_dir):
    pictures = folder / "loose_crop"
    shutil.copy(pictures / "0.jpg", pictures / "1.jpg")  # of one template
    shutil.copy(pictures / "0.jpg", pictures / "23.jpg")  # of another subject

    image_set = load_image_set("ijbc", size_px=8, cache_dir=cache_dir, may_only_test=True)

    assert len(image_set) == 2 * NUM_SUBJECTS * NUM_FACES
    assert image_set.only_tests
    assert image_set.class_names == tuple(f"subject {number}" for number in range(NUM_SUBJECTS))
    assert image_set.is_query.tolist() == [False] * 12 + [True] * 12


def test_templates_media_and_galleries_are_those_of_each_picture(cache_dir):
    image_set = load_image_set("ijbc", size_px=8, cache_dir=cache_dir, may_only_test=True)

    lists = load_templates("ijbc", image_set.subset([23, 0, 9]), cache_dir=cache_dir)

    assert lists.item_names == ("23.jpg", "0.jpg", "9.jpg")
    assert lists.template_ids.tolist() == [23, 10, 13]
    assert lists.media_ids.tolist() == [6, 5, 5]
    assert lists.galleries.tolist() == [-1, 0, 1]
    assert Counter(map(tuple, lists.pairs.tolist())) == Counter(
        (10 + one, 20 + other) for one in range(4) for other in range(4)
    )


def test_what_needs_training_classes_says_that_there_are_none(cache_dir):
    with pytest.raises(BadData, match=r"test classes alone; judge .* --other-data ijbc"):
        load_image_set("ijbc", size_px=8, cache_dir=cache_dir)


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("ijbc_template_pair_label.txt", "10 21 1", r"line 17 of .* of one subject, .*otherwise"),
        ("ijbc_template_pair_label.txt", "10 21", "must have three numbers a line"),
        ("ijbc_face_tid_mid.txt", "0.jpg 99 1", "template 99 of 0.jpg is in no list"),
        ("ijbc_face_tid_mid.txt", "0.jpg ten 1", "must be numbers"),
        ("ijbc_1N_gallery_G2.csv", "ten,1", "must begin with the numbers of a template"),
    ],
)
def test_a_mistake_in_a_list_is_named(folder, file, line, message):
    with (folder / "meta" / file).open("a") as opened:
        opened.write(line + "\n")

    with pytest.raises(BadData, match=message):
        IjbcSource(folder).templates()
