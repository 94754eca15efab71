"""A small data set and a small network, trained by nobody."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cmpc_search.data import ImageSet
from cmpc_search.data.image_set import Drops
from cmpc_search.gallery import Gallery, save_gallery_network
from cmpc_search.networks.gallery.base import GalleryNetwork
from cmpc_search.networks.gallery.residual import ResidualShape
from cmpc_search.networks.onnx_export import export_network

SHAPE = ResidualShape(
    name="tiny", input_size_px=8, depths=(1, 1), width=4, stem_stride=1, embedding_dim=6
)


@pytest.fixture(scope="session")
def image_set() -> ImageSet:
    """Ten images of five classes; classes 1 and 3 are not for training."""
    labels = np.array([4, 0, 1, 2, 3, 4, 0, 1, 2, 3])
    return ImageSet(
        name="dots",
        images=np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), np.uint8),
        labels=labels,
        class_names=("ant", "bee", "cat", "dog", "elk"),
        is_query=np.arange(10) < 5,
        split=np.isin(labels, (1, 3)).astype(np.int8),
        item_names=tuple(f"dots/{number}" for number in range(10)),
        sha256="ab" * 32,
        licences=("CC0",),
        drops=Drops(),
    )


@pytest.fixture(scope="session")
def make_network() -> Callable[[int], GalleryNetwork]:
    """Returns a network with weights of its own and batch norms that have seen something."""

    def make(seed: int) -> GalleryNetwork:
        torch.manual_seed(seed)
        network = GalleryNetwork(SHAPE)
        for norm in network.batch_norms():  # the last ones of residual blocks start at zero
            torch.nn.init.ones_(norm.weight)
        with torch.no_grad():
            network(torch.rand(20, 3, 8, 8))
        return network.eval()

    return make


@pytest.fixture
def directions() -> torch.Tensor:
    """Unit directions of the training classes ant, cat and elk."""
    return torch.eye(3, 6)


@pytest.fixture
def gallery(tmp_path, image_set, make_network, directions) -> Gallery:
    network = make_network(0)
    return save_gallery_network(
        tmp_path / "gallery",
        network,
        directions,
        image_set,
        facts={"num_steps": 7},
        precision="float16",  # as no machine trains
    )


@pytest.fixture
def onnx_path(tmp_path: Path, make_network) -> Path:
    path = tmp_path / "own.onnx"
    export_network(make_network(0), path)
    return path
