"""The default data set out of the two wheels, as published."""

import time

import numpy as np
import pytest

from cmpc_search.data import CATALOGUE, load_image_set
from cmpc_search.data.emoji import EmojiSource


def test_both_houses_draw_the_same_1935_emoji(tmp_path):
    pictures = EmojiSource(tmp_path).pictures()

    queries = [picture for picture in pictures if picture.role == "query"]
    gallery = [picture for picture in pictures if picture.role == "gallery"]
    assert len(queries) == len(gallery) == len({picture.class_name for picture in queries}) == 1935
    assert [picture.class_name for picture in queries] == [p.class_name for p in gallery]
    names = {picture.item_name: picture.class_name for picture in pictures}
    assert names["openmoji/1F600"] == names["twemoji/1F600"] == "grinning face"
    assert "twemoji/1F44B-1F3FD" not in names  # a waving hand with a skin tone


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def test_emoji_that_look_alike_are_dropped_and_the_catalogue_says_how_many_stay(cache_dir):
    image_set = load_image_set("emoji", size_px=16, cache_dir=cache_dir)

    assert (len(image_set), image_set.num_classes) == (3676, 1838)
    assert (image_set.drops.num_identical, image_set.drops.num_lone) == (108, 86)
    assert image_set.drops.num_broken == 0
    assert CATALOGUE["emoji"].num_images == len(image_set)
    assert CATALOGUE["emoji"].num_classes == image_set.num_classes
    assert "norway flag" not in image_set.class_names  # Svalbard has the same
    assert np.unique(image_set.images.reshape(len(image_set), -1), axis=0).shape[0] == 3676


def test_a_second_load_takes_less_than_half_a_second(cache_dir):
    load_image_set("emoji", size_px=16, cache_dir=cache_dir)
    started_at = time.process_time()

    load_image_set("emoji", size_px=16, cache_dir=cache_dir)

    assert time.process_time() - started_at < 0.5
