"""ShuffleNet spaces hold the networks they describe, and count them as the literature does."""

import random
from dataclasses import replace

import pytest

from cmpc_search.errors import BadArgument
from cmpc_search.space.presets.catalogue import load_space
from cmpc_search.space.presets.shufflenet import (
    ELASTIC,
    SMALL,
    SPOS,
    ShuffleNetSpace,
    Stage,
)
from cmpc_search.testing.spaces import SpaceContract

# Sizes that halve unevenly: 21, 11, 6, 3 pixels.
UNEVEN = ShuffleNetSpace(
    name="uneven",
    input_size_px=21,
    stem_channels=(4,),
    stem_strides=(2,),
    stages=(Stage(10, 1), Stage(22, 2)),
    head_channels=(9,),
    embedding_dim=5,
    widths=(0.4, 1.0, 1.6),
)


# With a choice of everything that may be chosen.
TINY_ELASTIC = replace(
    UNEVEN,
    name="elastic",
    smaller_inputs_px=(9, 12, 40),
    stem_channels=(2, 4),
    stem_strides=(1, 2),
    stages=(Stage(10, 2, least_depth=1), Stage(22, 3, least_depth=2)),
    head_channels=(5, 9),
    has_layout_head=True,
)


class TestSpaces(SpaceContract):
    @pytest.fixture(
        params=[
            SMALL,
            replace(SPOS, input_size_px=32),
            UNEVEN,
            replace(UNEVEN, has_layout_head=True, operators=(1, 3)),
            TINY_ELASTIC,
            ELASTIC,
        ],
        ids=["small", "spos", "uneven", "layout-head", "tiny-elastic", "elastic"],
    )
    def space(self, request):
        return request.param

    @pytest.mark.slow  # SPOS has so many outcomes of each block
    def test_the_largest_within_a_budget_is_within_it_and_nearly_all_of_it(self, space):
        super().test_the_largest_within_a_budget_is_within_it_and_nearly_all_of_it(space)


# The two networks of Guo et al. (ECCV 2020) and its official code, published as 323 M and 328 M.
BLOCK_SEARCHED = (
    "k7w1.0-k5w1.0-k3w1.0-k5w1.0-k7w1.0-k3w1.0-k7w1.0-k3w1.0-k7w1.0-k3w1.0-"
    "k7w1.0-xcw1.0-k3w1.0-k3w1.0-k3w1.0-k3w1.0-xcw1.0-k7w1.0-xcw1.0-xcw1.0"
)
BLOCK_AND_CHANNEL_SEARCHED = (
    "k3w1.4-k3w1.2-xcw0.8-k5w1.2-k5w0.6-k5w1.4-k3w0.8-k3w1.0-k7w0.6-k3w1.2-"
    "k7w1.6-k5w1.2-k5w1.0-k3w1.4-k7w1.6-k3w1.0-k7w1.0-k5w1.2-xcw1.0-k7w0.8"
)


@pytest.mark.parametrize(
    ("key", "macs"),
    [(BLOCK_SEARCHED, 322_918_720), (BLOCK_AND_CHANNEL_SEARCHED, 327_857_920)],
)
def test_published_networks_count_to_their_published_size(key, macs):
    space = load_space("spos", embedding_dim=1000)

    assert space.macs(space.read(key)) == macs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stages": ()}, "stages of even width"),
        ({"stages": (Stage(11, 1),)}, "stages of even width"),
        ({"stages": (Stage(10, 0),)}, "at least one block"),
        ({"stages": (Stage(10, 1), Stage(10, 1))}, r"wider than the one before .*\(4, 10, 10\)"),
        ({"stem_channels": (10,)}, "wider than the one before"),
        ({"stages": (Stage(10, 1, least_depth=2),)}, "at least one block"),
        ({"stages": (Stage(10, 1, least_depth=-1),)}, "at least one block"),
        ({"head_channels": ()}, "options for"),
        ({"widths": ()}, "choices"),
        ({"operators": ()}, "choices"),
        ({"widths": (0.1, 1.0)}, "at least one middle channel"),
    ],
)
def test_a_description_that_makes_no_network_is_refused(change, message):
    with pytest.raises(BadArgument, match=message):
        replace(UNEVEN, **change)


def test_a_key_names_what_there_is_and_marks_what_is_left_out():
    architecture = TINY_ELASTIC.read("r12s2c4-d1-k3w0.4-x-d2-xcw1.0-k7w1.6-x-h9")

    plan = TINY_ELASTIC.plan(architecture)
    units = {step.name.rsplit(".", 2)[0] for step in plan.layers if "main" in step.name}
    assert plan.input_size_px == 12
    assert units == {"blocks.0", "blocks.2", "blocks.3"}
    assert [step.out.size_px for step in plan.layers if step.name in ("stem", "head")] == [6, 2]


@pytest.mark.parametrize(
    "key",
    [
        "r12s2c4-d1-k3w0.4-k3w0.4-d2-xcw1.0-k7w1.6-x-h9",
        "r12s2c4-d2-k3w0.4-x-d2-xcw1.0-k7w1.6-x-h9",
        "x-d1-k3w0.4-x-d2-xcw1.0-k7w1.6-x-h9",
    ],
)
def test_a_key_that_marks_too_little_or_too_much_is_refused(key):
    with pytest.raises(BadArgument, match="the word 'x' for blocks that are left out"):
        TINY_ELASTIC.read(key)


def test_networks_that_are_equal_are_one_architecture_and_are_counted_once():
    space = replace(
        TINY_ELASTIC,
        stages=(Stage(10, 2, least_depth=1),),
        widths=(1.0,),
        operators=(0, 1),
        smaller_inputs_px=(),
    )
    rng = random.Random(0)

    drawn = {space.sample(rng) for _ in range(2000)}
    assert len(drawn) == space.num_architectures == 2 * 2 * 2 * (2 + 4)
    assert len({space.plan(one) for one in drawn}) == len(drawn)


def test_the_elastic_space_reaches_from_a_third_of_a_million_macs_to_twenty():
    rng = random.Random(0)
    drawn = [ELASTIC.macs(ELASTIC.sample(rng)) for _ in range(200)]

    assert ELASTIC.macs(ELASTIC.smallest()) <= 0.3e6 < 20e6 <= ELASTIC.macs(ELASTIC.largest())
    assert min(drawn) < 0.6e6 < 10e6 < max(drawn)
    assert len(list(ELASTIC.covering())) < 30
