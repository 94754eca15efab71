"""A supernet is its architectures: each path computes what the extracted network computes."""

import random

import pytest
import torch

from cmpc_search.networks.shared import Supernet
from cmpc_search.space.presets.shufflenet import ShuffleNetSpace, Stage
from cmpc_search.training.recalibration import rebuild_batch_norms

# Of many brightnesses: noise alone looks all the same once it is averaged.
GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.rand(32, 3, 16, 16, generator=GENERATOR) * torch.rand(
    32, 3, 1, 1, generator=GENERATOR
)


ELASTIC = ShuffleNetSpace(
    name="elastic",
    input_size_px=16,
    smaller_inputs_px=(8,),
    stem_channels=(2, 4),
    stem_strides=(1,),
    stages=(Stage(12, 1),),
    head_channels=(10, 20),
    has_layout_head=True,
    embedding_dim=8,
    widths=(1.0,),
)


@pytest.fixture
def supernet(space):
    torch.manual_seed(0)
    return Supernet(space)


@pytest.mark.parametrize("seed", range(5))
def test_rebuilt_batch_norms_make_an_extracted_network_stand_alone(supernet, space, seed):
    architecture = space.sample(random.Random(seed))
    network = supernet.extract(architecture)

    rebuild_batch_norms(network, IMAGES)

    with torch.no_grad():
        expected = supernet(IMAGES, architecture)
        found = network(IMAGES)
        one_by_one = torch.cat([network(image[None]) for image in IMAGES[:3]])
    # Kept variances are unbiased, those of a batch are not: 1 in 512 apart on the smallest maps.
    cosines = (expected * found).sum(dim=1)
    assert cosines.mean() > 0.9998
    assert cosines.min() > 0.999
    torch.testing.assert_close(one_by_one, found[:3], atol=1e-5, rtol=0)


def test_small_kernels_are_the_middle_of_the_large_one(supernet, space):
    small, large = (
        supernet.extract(space.read("-".join([word] * 4))) for word in ("k3w1.0", "k7w1.0")
    )

    for at in range(4):
        (one, two), (other, another) = (
            [net.get_parameter(f"blocks.{at}.main.{number}.weight") for number in (0, 1)]
            for net in (small, large)
        )
        assert one.equal(other)
        assert two.equal(another[:, :, 2:5, 2:5])


def test_narrow_paths_share_the_first_channels_of_wide_ones(supernet, space):
    with torch.no_grad():
        narrow = supernet.extract(space.read("-".join(["k5w0.5"] * 4)))
        wide = supernet.extract(space.read("-".join(["k5w1.5"] * 4)))

    for few, many in zip(narrow.parameters(), wide.parameters(), strict=True):
        corner = many[tuple(slice(size) for size in few.shape)]
        assert few.equal(corner)


def test_an_extracted_network_owns_its_weights(supernet, space):
    architecture = space.smallest()
    network = supernet.extract(architecture)

    with torch.no_grad():
        for weight in network.parameters():
            weight.zero_()

    assert all(weight.any() for weight in supernet.extract(architecture).stem.weight)
    assert supernet.embedding.weight.any()


def test_a_small_map_weighs_the_mean_of_the_places_that_its_pixels_join():
    space, supernet = ELASTIC, Supernet(ELASTIC)
    large, small = (
        supernet.extract(space.read(f"r{size}c4-k3w1.0-h20")).get_parameter("layout.weight")
        for size in (16, 8)
    )

    assert (large.shape, small.shape) == ((20, 1, 8, 8), (20, 1, 4, 4))
    torch.testing.assert_close(small[:, 0, 1, 2], large[:, 0, 2:4, 4:6].mean(dim=(1, 2)))
