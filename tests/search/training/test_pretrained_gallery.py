"""A gallery network that starts from published weights keeps as much of them as it is told to."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cmpc_search.networks.gallery.base import GalleryNetwork
from cmpc_search.networks.gallery.efficientnet import EFFICIENTNET_LITE0
from cmpc_search.networks.gallery.residual import ResidualShape
from cmpc_search.networks.gallery.whitening import whitened, whitening_of
from cmpc_search.testing.spaces import unsettle
from cmpc_search.testing.views import views_of
from cmpc_search.training.execution import Execution
from cmpc_search.training.gallery_task import train_gallery_network
from cmpc_search.training.settings import GalleryTraining

SHAPE = replace(EFFICIENTNET_LITE0, input_size_px=16, embedding_dim=8)
# AdamW's first step moves each number by the learning rate, whatever its gradient.
ONE_STEP = GalleryTraining(
    num_steps=1,
    classes_per_batch=6,
    learning_rate=1e-3,
    weight_decay=0,
    ema_decay=0,
    joined_share=0,
)
TINY = ResidualShape(name="tiny", input_size_px=16, depths=(1,), width=8, embedding_dim=6)


def moves(shapes, **settings):
    """Train for one step; return how far the published numbers moved at most, and fresh ones."""
    start = GalleryNetwork(SHAPE)
    start.load_pretrained()
    training = ONE_STEP.model_copy(update=settings)
    network, _ = train_gallery_network(SHAPE, shapes, training, views_of(shapes), Execution())
    parameters = dict(network.named_parameters())
    moved = {
        name: float((now - start.state_dict()[name]).abs().max().detach())
        for name, now in parameters.items()
    }
    backbone = [moved[name] for name in parameters if name in start.pretrained_names]
    started_at_zero = moved["embedding.norm.bias"]
    states = [name for name in start.pretrained_names if "running_mean" in name]
    seen = [not network.state_dict()[one].equal(start.state_dict()[one]) for one in states]
    return max(backbone), started_at_zero, any(seen)


def test_published_weights_move_by_their_share_of_the_rate(shapes):
    published, fresh, is_norm_changed = moves(shapes, backbone_rate_share=0.25)

    assert fresh == pytest.approx(1e-3, rel=0.01)
    assert published == pytest.approx(0.25e-3, rel=0.01)
    assert is_norm_changed


def test_a_frozen_backbone_stays_as_published_batch_norms_included(shapes):
    published, fresh, is_norm_changed = moves(shapes, backbone_rate_share=0.0)

    assert (published, is_norm_changed) == (0, False)
    assert fresh == pytest.approx(1e-3, rel=0.01)


def test_whitening_makes_all_directions_vary_alike_or_half_as_unlike():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((500, 4)) @ np.diag([4, 2, 1, 0.5]) + [1, 2, 3, 4]
    mean, matrix = whitening_of(torch.from_numpy(rows).float(), power=1)
    _, half = whitening_of(torch.from_numpy(rows).float(), power=0.5)

    white = (rows - mean.numpy()) @ matrix.numpy().T
    partly = (rows - mean.numpy()) @ half.numpy().T

    np.testing.assert_allclose(np.cov(white.T, ddof=0), np.eye(4), atol=1e-4)
    variances = np.linalg.eigvalsh(np.cov(rows.T, ddof=0))[::-1]
    np.testing.assert_allclose(np.cov(partly.T, ddof=0), np.diag(variances**0.5), atol=1e-3)


def test_a_whitened_network_gives_the_whitened_embeddings_of_the_network_before():
    torch.manual_seed(0)
    network = GalleryNetwork(TINY)
    unsettle(network)
    images = torch.rand(40, 3, 16, 16)
    with torch.inference_mode():
        before = network.eval()(images)
        after = whitened(network, before, power=0.7).eval()(images)

    mean, matrix = whitening_of(before, power=0.7)
    expected = torch.nn.functional.normalize((before - mean) @ matrix.T, dim=1)
    torch.testing.assert_close(after, expected, atol=1e-4, rtol=1e-3)


def test_class_directions_of_a_whitened_network_are_the_mean_of_its_embeddings(shapes):
    training = ONE_STEP.model_copy(update={"whitening_power": 0.5})

    network, directions = train_gallery_network(
        TINY, shapes, training, views_of(shapes), Execution()
    )

    assert network.shape.is_whitened
    positions = shapes.select(split="train")
    third = positions[shapes.labels[positions] == np.unique(shapes.labels[positions])[2]]
    images = torch.from_numpy(shapes.images[third]).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        mean = network(images).mean(dim=0)
    torch.testing.assert_close(directions[2], mean / mean.norm(), atol=1e-4, rtol=1e-3)
