"""Hand-made networks count as they were published, and take what MACs they are given."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cmpc_cost_models.graphs.counting import count_network
from cmpc_search.errors import BadArgument
from cmpc_search.networks.onnx_export import export_network
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.space.presets.hand_made import (
    MOBILENET_V2,
    SHUFFLENET_V2,
    SHUFFLENET_V2_HALF,
)
from cmpc_search.testing.spaces import onnx_embedding, unsettle


@pytest.mark.parametrize(
    ("network", "million_macs"),
    [
        # Sandler et al., CVPR 2018, table 4, and the table of its published weights.
        (MOBILENET_V2, 300),
        (replace(MOBILENET_V2, width=1.4), 582),
        (replace(MOBILENET_V2, width=0.75), 209),
        (replace(MOBILENET_V2, width=0.35), 59),
        # Ma et al., ECCV 2018, table 8.
        (SHUFFLENET_V2, 146),
        (SHUFFLENET_V2_HALF, 41),
    ],
)
def test_published_networks_count_to_their_published_size(network, million_macs):
    plan = replace(network, embedding_dim=1000).plan()

    assert plan.macs / 1e6 == pytest.approx(million_macs, abs=0.9)


@pytest.mark.parametrize("network", [MOBILENET_V2, SHUFFLENET_V2])
@pytest.mark.parametrize("macs", [1_000_000, 2_600_000, 10_000_000])
def test_the_widest_network_within_a_budget_takes_most_of_it(network, macs):
    scaled = replace(network, input_size_px=48, stem_stride=1).scaled_to(macs)

    wider = replace(scaled, width=scaled.width + 0.001)
    assert 0.9 * macs < scaled.plan().macs <= macs < wider.plan().macs


@pytest.mark.parametrize("network", [MOBILENET_V2, SHUFFLENET_V2])
def test_fewer_macs_than_the_narrowest_takes_are_refused(network):
    with pytest.raises(BadArgument, match="must be given at least"):
        network.scaled_to(100_000)


@pytest.mark.parametrize("network", [MOBILENET_V2, SHUFFLENET_V2])
@pytest.mark.parametrize("stem_stride", [1, 2])
def test_what_is_counted_is_what_runs_and_what_is_written(network, stem_stride, tmp_path):
    small = replace(network, input_size_px=32, embedding_dim=8, stem_stride=stem_stride)
    torch.manual_seed(0)
    built = PlanNetwork(small.scaled_to(400_000).plan())
    unsettle(built)
    image = torch.rand(1, 3, 32, 32)

    export_network(built.eval(), tmp_path / "network.onnx")

    assert count_network(tmp_path / "network.onnx").macs == built.plan.macs
    with torch.inference_mode():
        expected = built(image).numpy()
    found = onnx_embedding(tmp_path / "network.onnx", image)
    np.testing.assert_allclose(found, expected, atol=1e-3)  # fifty layers add up
