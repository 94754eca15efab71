"""A space holds the networks it describes, and counts them as the literature and ONNX do."""

import random
from dataclasses import replace

import pytest

from cmpc_base.errors import UnknownName
from cmpc_cost_models.graphs.counting import count_network
from cmpc_search.errors import BadArgument
from cmpc_search.networks.onnx_export import export_query_network
from cmpc_search.networks.query import QueryNetwork
from cmpc_search.space import SPACES, Architecture, SearchSpace, Stage, load_space

# Sizes that halve unevenly: 21, 11, 6, 3 pixels.
UNEVEN = SearchSpace(
    name="uneven",
    input_size_px=21,
    stem_channels=4,
    stem_stride=2,
    stages=(Stage(10, 1), Stage(22, 2)),
    head_channels=9,
    embedding_dim=5,
    width_choices=(0.4, 1.0, 1.6),
)

# The two networks of Guo et al. (ECCV 2020) and its official code, published as 323 M and 328 M.
BLOCK_SEARCHED = Architecture(
    (2, 1, 0, 1, 2, 0, 2, 0, 2, 0, 2, 3, 0, 0, 0, 0, 3, 2, 3, 3), (1.0,) * 20
)
BLOCK_AND_CHANNEL_SEARCHED = Architecture.from_key(
    "k3w1.4-k3w1.2-xcw0.8-k5w1.2-k5w0.6-k5w1.4-k3w0.8-k3w1.0-k7w0.6-k3w1.2-"
    "k7w1.6-k5w1.2-k5w1.0-k3w1.4-k7w1.6-k3w1.0-k7w1.0-k5w1.2-xcw1.0-k7w0.8"
)


@pytest.mark.parametrize("name", SPACES)
def test_no_architecture_takes_fewer_macs_than_the_smallest(name):
    space = load_space(name)
    drawn = [space.sample(random.Random(number)) for number in range(100)]
    narrow = [space.uniform(code, min(space.width_choices)) for code in space.block_choices]

    assert space.macs(space.smallest()) <= min(map(space.macs, drawn + narrow))


@pytest.mark.parametrize(
    ("architecture", "macs"),
    [(BLOCK_SEARCHED, 322_918_720), (BLOCK_AND_CHANNEL_SEARCHED, 327_857_920)],
)
def test_published_networks_count_to_their_published_size(architecture, macs):
    assert load_space("spos", embedding_dim=1000).macs(architecture) == macs


@pytest.mark.parametrize("has_layout_head", [False, True])
@pytest.mark.parametrize("space", [UNEVEN, SPACES["small"]], ids=lambda space: space.name)
@pytest.mark.parametrize("seed", range(3))
def test_macs_are_those_of_the_exported_graph(space, seed, has_layout_head, tmp_path):
    space = replace(space, has_layout_head=has_layout_head)
    architecture = space.sample(random.Random(seed))
    layers = space.layers(architecture)

    export_query_network(QueryNetwork(layers), tmp_path / "query.onnx")

    assert layers.macs == count_network(tmp_path / "query.onnx").macs


def test_samples_reach_every_choice_at_every_block():
    rng = random.Random(0)
    drawn = [UNEVEN.sample(rng) for _ in range(300)]

    for position in range(UNEVEN.num_blocks):
        seen = {(one.blocks[position], one.widths[position]) for one in drawn}
        assert len(seen) == len(UNEVEN.block_choices) * len(UNEVEN.width_choices)
    assert UNEVEN.num_architectures == 12**3


def test_no_sample_is_smaller_than_the_smallest():
    space = SPACES["small"]
    rng = random.Random(1)

    least = min(space.macs(space.sample(rng)) for _ in range(200))

    assert space.macs(space.smallest()) <= least


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        (Architecture((0, 0), (1.0, 1.0)), "must have 3 blocks, got 2"),
        (UNEVEN.uniform(0, 1.2), r"widths .*0\.4, 1\.0, 1\.6"),
    ],
)
def test_an_architecture_of_another_space_is_refused(architecture, message):
    with pytest.raises(BadArgument, match=message):
        UNEVEN.layers(architecture)


def test_an_operator_that_the_space_leaves_out_is_refused():
    without_xception = replace(UNEVEN, block_choices=(0, 1, 2))

    with pytest.raises(BadArgument, match=r"operators .*k3, k5, k7"):
        without_xception.layers(UNEVEN.uniform(3, 1.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stages": ()}, "stages of even width"),
        ({"stages": (Stage(11, 1),)}, "stages of even width"),
        ({"stages": (Stage(10, 0),)}, "at least one block"),
        ({"stages": (Stage(10, 1), Stage(10, 1))}, r"wider than the one before .*\(4, 10, 10\)"),
        ({"stem_channels": 10}, "wider than the one before"),
        ({"width_choices": ()}, "choices"),
        ({"block_choices": ()}, "choices"),
        ({"width_choices": (0.1, 1.0)}, "at least one middle channel"),
    ],
)
def test_a_description_that_makes_no_network_is_refused(change, message):
    with pytest.raises(BadArgument, match=message):
        replace(UNEVEN, **change)


def test_a_preset_takes_another_length_and_size():
    space = load_space("small", embedding_dim=7, input_size_px=48)

    assert (space.embedding_dim, space.input_size_px) == (7, 48)
    assert space.stages == SPACES["small"].stages


def test_a_misspelt_space_is_told_the_name_it_is_near_to():
    with pytest.raises(UnknownName, match=r"called 'smal'.* small, spos; .*mean 'small'\?"):
        load_space("smal")
