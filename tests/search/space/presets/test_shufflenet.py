"""ShuffleNet spaces hold the networks they describe, and count them as the literature does."""

from dataclasses import replace

import pytest

from cmpc_search.errors import BadArgument
from cmpc_search.space.presets.catalogue import load_space
from cmpc_search.space.presets.shufflenet import SMALL, SPOS, ShuffleNetSpace, Stage
from cmpc_search.testing.spaces import SpaceContract

# Sizes that halve unevenly: 21, 11, 6, 3 pixels.
UNEVEN = ShuffleNetSpace(
    name="uneven",
    input_size_px=21,
    stem_channels=4,
    stem_stride=2,
    stages=(Stage(10, 1), Stage(22, 2)),
    head_channels=9,
    embedding_dim=5,
    widths=(0.4, 1.0, 1.6),
)


class TestSpaces(SpaceContract):
    @pytest.fixture(
        params=[
            SMALL,
            replace(SPOS, input_size_px=32),
            UNEVEN,
            replace(UNEVEN, has_layout_head=True, operators=(1, 3)),
        ],
        ids=["small", "spos", "uneven", "layout-head"],
    )
    def space(self, request):
        return request.param


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
        ({"stem_channels": 10}, "wider than the one before"),
        ({"widths": ()}, "choices"),
        ({"operators": ()}, "choices"),
        ({"widths": (0.1, 1.0)}, "at least one middle channel"),
    ],
)
def test_a_description_that_makes_no_network_is_refused(change, message):
    with pytest.raises(BadArgument, match=message):
        replace(UNEVEN, **change)
