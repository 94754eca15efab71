"""Rebuilt batch norms hold the statistics of what they read, whatever they held before."""

import numpy as np
import pytest
import torch
from torch import nn

from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.space.presets.shufflenet import ShuffleNetSpace, Stage
from cmpc_search.training.recalibration import rebuild_batch_norms

SPACE = ShuffleNetSpace(
    name="tiny",
    input_size_px=8,
    stem_channels=(4,),
    stem_strides=(1,),
    stages=(Stage(8, 2),),
    head_channels=(8,),
    embedding_dim=4,
    widths=(1.0,),
)


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = PlanNetwork(SPACE.plan(SPACE.read("-".join(["xcw1.0"] * len(SPACE.blocks)))))
    for norm in network.batch_norms():  # what a training left behind
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 1, 9)
    return network


def test_statistics_are_those_of_a_direct_computation(network):
    images = torch.rand(30, 3, 8, 8)
    read = {}

    def remember(module, arguments, _):
        read[module] = arguments[0].movedim(1, -1).flatten(0, -2).double().numpy()

    hooks = [norm.register_forward_hook(remember) for norm in network.batch_norms()]

    rebuild_batch_norms(network, images)

    assert len(read) == len(list(network.batch_norms())) == 1 + 6 + 2 + 6 + 1 + 1
    for norm, values in read.items():
        np.testing.assert_allclose(norm.running_mean, values.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(norm.running_var, values.var(axis=0, ddof=1), rtol=1e-4)
    for hook in hooks:
        hook.remove()


def test_rebuilding_forgets_what_was_there_and_leaves_the_network_ready(network):
    images = torch.rand(30, 3, 8, 8)
    rebuild_batch_norms(network, images)
    first = {name: value.clone() for name, value in network.state_dict().items()}

    rebuild_batch_norms(network, images)

    for name, value in network.state_dict().items():
        assert value.equal(first[name]), name
    assert not network.training
    assert {norm.momentum for norm in network.batch_norms()} == {0.1}


@pytest.mark.parametrize("count", [257, 258, 512])
def test_every_image_counts_alike_however_many_there_are(network, count):
    images = torch.rand(count, 3, 8, 8)
    images[-2:] *= 20  # a batch of these two alone would weigh half

    rebuild_batch_norms(network, images)

    with torch.inference_mode():
        features = nn.functional.conv2d(images, network.stem.weight, padding=1)
    expected = features.mean(dim=(0, 2, 3))
    np.testing.assert_allclose(network.stem.norm.running_mean, expected, atol=0.02)


def test_statistics_of_frozen_layers_stay(network):
    network.stem.requires_grad_(False)
    before = network.stem.norm.running_mean.clone()

    rebuild_batch_norms(network, torch.rand(30, 3, 8, 8))

    assert network.stem.norm.running_mean.equal(before)
    assert not network.embedding.norm.running_mean.isnan().any()
