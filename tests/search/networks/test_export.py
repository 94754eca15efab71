"""What is written as ONNX computes what the torch network computes, by ONNX Runtime."""

import numpy as np
import pytest
import torch

from cmpc_cost_models.graphs.counting import count_network
from cmpc_search.networks.gallery.base import GalleryNetwork
from cmpc_search.networks.gallery.residual import ResidualShape
from cmpc_search.networks.onnx_export import export_network
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.testing.spaces import onnx_embedding, unsettle

IMAGE = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))

GALLERY_SHAPES = [
    ResidualShape(name="basic", input_size_px=16, depths=(1, 2), width=6, embedding_dim=8),
    ResidualShape(
        name="layout-head",
        input_size_px=16,
        depths=(1, 1),
        width=6,
        stem_stride=1,
        has_layout_head=True,
        embedding_dim=8,
    ),
    ResidualShape(
        name="bottleneck-large-stem",
        input_size_px=16,
        depths=(2, 1),
        width=4,
        is_bottleneck=True,
        has_large_stem=True,
        embedding_dim=8,
    ),
]


@pytest.mark.parametrize("shape", GALLERY_SHAPES, ids=lambda shape: shape.name)
def test_the_graph_of_a_gallery_network_computes_what_torch_does(shape, tmp_path):
    torch.manual_seed(0)
    network = GalleryNetwork(shape)
    unsettle(network)

    export_network(network, tmp_path / "gallery.onnx")

    with torch.inference_mode():
        expected = network.eval()(IMAGE).numpy()
    np.testing.assert_allclose(
        onnx_embedding(tmp_path / "gallery.onnx", IMAGE), expected, atol=2e-5
    )
    written = count_network(tmp_path / "gallery.onnx")
    plan = network.plan
    assert plan.macs == written.macs


def test_export_leaves_weights_in_any_memory_layout_as_they_are(space, tmp_path):
    torch.manual_seed(0)
    network = PlanNetwork(space.plan(space.read("-".join(["k7w1.5"] * 4))))
    unsettle(network)
    export_network(network, tmp_path / "first.onnx")

    export_network(network.to(memory_format=torch.channels_last), tmp_path / "channels_last.onnx")

    first = (tmp_path / "first.onnx").read_bytes()
    assert (tmp_path / "channels_last.onnx").read_bytes() == first
