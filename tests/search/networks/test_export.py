"""What is written as ONNX computes what the torch network computes, by ONNX Runtime."""

import random

import numpy as np
import onnxruntime
import pytest
import torch

from cmpc_cost_models.graphs.counting import count_network
from cmpc_search.networks.gallery import GalleryNetwork, ResidualShape
from cmpc_search.networks.onnx_export import export_network
from cmpc_search.networks.plan_network import PlanNetwork

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


def assert_agrees(path, network):
    """Hold the graph to the network on an image, and the embedding to unit length."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    (found,) = session.run(["embedding"], {"image": IMAGE.numpy()})
    with torch.inference_mode():
        expected = network.eval()(IMAGE).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert float(found[0].astype(np.float64) @ expected[0]) > 0.99999


@pytest.mark.parametrize("seed", range(4))
def test_the_graph_of_a_query_network_computes_what_torch_does(space, unsettle, tmp_path, seed):
    torch.manual_seed(seed)
    network = PlanNetwork(space.plan(space.sample(random.Random(seed))))
    unsettle(network)

    export_network(network, tmp_path / "query.onnx")

    assert_agrees(tmp_path / "query.onnx", network)


@pytest.mark.parametrize("shape", GALLERY_SHAPES, ids=lambda shape: shape.name)
def test_the_graph_of_a_gallery_network_computes_what_torch_does(shape, unsettle, tmp_path):
    torch.manual_seed(0)
    network = GalleryNetwork(shape)
    unsettle(network)

    export_network(network, tmp_path / "gallery.onnx")

    assert_agrees(tmp_path / "gallery.onnx", network)
    # A ReLU or a shortcut that is missing can hide behind a lucky weight, a layer can't.
    convolutions = [one for one in network.parameters() if one.ndim == 4]
    num_biases = sum(len(one) for one in convolutions) + shape.embedding_dim
    num_weights = sum(one.numel() for one in network.parameters() if one.ndim > 1)
    assert count_network(tmp_path / "gallery.onnx").parameters == num_weights + num_biases


def test_export_leaves_weights_in_any_memory_layout_as_they_are(space, unsettle, tmp_path):
    torch.manual_seed(0)
    network = PlanNetwork(space.plan(space.read("-".join(["k7w1.5"] * 4))))
    unsettle(network)
    export_network(network, tmp_path / "first.onnx")

    export_network(network.to(memory_format=torch.channels_last), tmp_path / "channels_last.onnx")

    first = (tmp_path / "first.onnx").read_bytes()
    assert (tmp_path / "channels_last.onnx").read_bytes() == first
