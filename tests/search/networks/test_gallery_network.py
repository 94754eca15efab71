"""Gallery networks have the size of the published ones they are named after."""

import math

import pytest
import torch

from cmpc_base.errors import UnknownName
from cmpc_search.errors import BadArgument
from cmpc_search.networks.gallery.catalogue import GALLERY_NETWORKS
from cmpc_search.networks.gallery.residual import ResidualBlock, ResidualShape
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.space.plan import PlanDraft


@pytest.mark.parametrize(
    ("name", "published_mmac"),
    # 1.8, 3.8 and 7.6 GMAC in table 1 of He et al.; here to the digit, without the dense layer.
    [("resnet18", 1813.6), ("resnet50", 3855.9), ("resnet101", 7568.1)],
)
def test_residual_networks_count_to_their_published_size(name, published_mmac):
    plan = GALLERY_NETWORKS.load(name).plan()
    dense = math.prod(plan.steps[-2].operation.weight_shape)

    counted_mmac = (plan.macs - dense) / 1e6

    assert counted_mmac == pytest.approx(published_mmac, abs=0.1)


def test_a_fresh_block_is_the_identity_on_what_a_relu_gives():
    draft = PlanDraft("block", input_size_px=8, channels=4)
    ResidualBlock("block", width=4, stride=1, is_bottleneck=False).add_to(draft, draft.image)
    features = torch.rand(2, 4, 8, 8)

    torch.testing.assert_close(PlanNetwork(draft.finished())(features), features)


@pytest.mark.parametrize("change", [{"depths": ()}, {"depths": (1, 0)}, {"width": 0}])
def test_a_shape_without_blocks_or_channels_is_refused(change):
    with pytest.raises(BadArgument, match="at least one block a stage and a positive width"):
        ResidualShape(**{"name": "none", "input_size_px": 8, "depths": (1,), "width": 4} | change)


def test_an_unknown_gallery_network_is_told_the_known_names():
    with pytest.raises(UnknownName, match=f"choose one of .*{sorted(GALLERY_NETWORKS)[0]}"):
        GALLERY_NETWORKS.load("resnet1001")
