"""A space holds the networks it describes, and counts them as the literature and ONNX do."""

import random
from dataclasses import replace

import pytest

from cmpc_cost_models.graphs.counting import count_network
from cmpc_search.errors import BadArgument
from cmpc_search.networks.onnx_export import export_network
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.space import load_space
from cmpc_search.space.presets.shufflenet import SMALL, ShuffleNetSpace, Stage

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


@pytest.mark.parametrize("has_layout_head", [False, True])
@pytest.mark.parametrize("space", [UNEVEN, SMALL], ids=lambda space: space.name)
@pytest.mark.parametrize("seed", range(3))
def test_macs_are_those_of_the_exported_graph(space, seed, has_layout_head, tmp_path):
    space = replace(space, has_layout_head=has_layout_head)
    architecture = space.sample(random.Random(seed))
    layers = space.plan(architecture)

    export_network(PlanNetwork(layers), tmp_path / "query.onnx")

    assert layers.macs == count_network(tmp_path / "query.onnx").macs


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
