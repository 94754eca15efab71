"""Several gallery networks are one gallery, whose cosines are the mean of theirs."""

from dataclasses import replace

import numpy as np
import pytest

from cmpc_search.errors import BadArgument, BadGallery
from cmpc_search.gallery import open_gallery, save_gallery_network
from cmpc_search.gallery.classes import read_classes
from cmpc_search.gallery.ensemble import average_projection, make_ensemble


@pytest.fixture
def members(tmp_path, image_set, make_network, directions):
    return [
        save_gallery_network(
            tmp_path / f"member-{seed}", make_network(seed), directions, image_set, facts={}
        )
        for seed in range(3)
    ]


def test_cosines_are_the_mean_of_the_members(tmp_path, members, image_set):
    made = make_ensemble(tmp_path / "all", members, image_set, embedding_dim=18)

    rows = open_gallery(made.path).rows_of(image_set)

    cosines = [member.embed(image_set.images) for member in members]
    expected = np.mean([one @ one.T for one in cosines], axis=0)
    np.testing.assert_allclose(rows @ rows.T, expected, atol=1e-4)
    np.testing.assert_allclose(made.embed(image_set.images), rows, atol=1e-5)


def test_its_arithmetic_is_that_of_all_members_and_the_projection(tmp_path, members, image_set):
    made = make_ensemble(tmp_path / "all", members, image_set)

    assert made.embedding_dim == 6
    assert made.macs == sum(member.macs for member in members) + 6 * 18
    known = read_classes(made.path, network_sha256=made.network_sha256)
    assert {one.name for one in known if "train" in one.splits} == {"ant", "cat", "elk"}


def test_the_projection_keeps_what_most_of_the_rows_have():
    rows = np.array([[3, 0, 4], [0, 1, 0], [6, 0, 8]], np.float32)

    found = average_projection(rows, 1)

    np.testing.assert_allclose(np.abs(found), [[0.6, 0, 0.8]], atol=1e-6)
    with pytest.raises(BadArgument, match="must have 1 to 3 numbers"):
        average_projection(rows, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training": {"split_seed": 3}}, "must have one split seed, got 0, 3"),
        ({"training": {"data": "others"}}, "must have one data"),
        ({"crop_share": 0.5}, "must have one crop"),
    ],
)
def test_members_of_other_data_are_refused(tmp_path, members, image_set, change, message):
    other = replace(members[1], record=members[1].record.model_copy(update=change))

    with pytest.raises(BadArgument, match=message):
        make_ensemble(tmp_path / "all", [members[0], other], image_set)
    assert not (tmp_path / "all").exists()


def test_a_single_member_is_refused(tmp_path, members, image_set):
    with pytest.raises(BadArgument, match="at least two members, got 1"):
        make_ensemble(tmp_path / "all", members[:1], image_set)


def test_members_that_learnt_from_other_classes_are_refused(tmp_path, members, image_set):
    other = replace(image_set, split=1 - image_set.split)

    with pytest.raises(BadGallery, match="must have been trained on dots as it is now"):
        make_ensemble(tmp_path / "all", members, other)


def test_members_that_read_images_of_two_sizes_are_refused(tmp_path, members, image_set):
    record = members[1].record.model_copy(update={"input_size_px": 16})

    with pytest.raises(BadArgument, match="must have one image size, got 8, 16"):
        make_ensemble(tmp_path / "all", [members[0], replace(members[1], record=record)], image_set)
