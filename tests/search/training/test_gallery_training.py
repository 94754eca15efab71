"""A gallery network learns a few coloured shapes in seconds, and says what it can't learn from."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cmpc_search.errors import BadData, BadRun
from cmpc_search.networks.gallery.residual import ResidualShape
from cmpc_search.testing.views import views_of
from cmpc_search.training.embedding import embed_images
from cmpc_search.training.execution import Execution
from cmpc_search.training.gallery_task import train_gallery_network
from cmpc_search.training.settings import GalleryTraining

SHAPE = ResidualShape(
    name="tiny", input_size_px=16, depths=(1, 1), width=8, stem_stride=1, embedding_dim=8
)
QUIET = Execution()
TRAINING = GalleryTraining(num_steps=60, classes_per_batch=6, learning_rate=0.02)


def train(image_set, training, shape=SHAPE):
    return train_gallery_network(shape, image_set, training, views_of(image_set), QUIET)


@pytest.mark.slow
def test_sixty_steps_name_the_training_shapes_and_find_their_partners(shapes):
    steps = []

    heard = Execution(progress=lambda done, total: steps.append((done, total)))
    network, directions = train_gallery_network(SHAPE, shapes, TRAINING, views_of(shapes), heard)

    train = shapes.select(split="train")
    embeddings = embed_images(network, shapes.images)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(6))
    # Row c of the directions is the c-th training class, which skip one label: chance is 1 in 6.
    named = (embeddings[train] @ directions.numpy().T).argmax(axis=1)
    truth = np.searchsorted(np.unique(shapes.labels[train]), shapes.labels[train])
    assert (named == truth).mean() > 0.8
    queries, gallery = (shapes.select(split="train", role=role) for role in ("query", "gallery"))
    nearest = gallery[(embeddings[queries] @ embeddings[gallery].T).argmax(axis=1)]
    assert (shapes.labels[nearest] == shapes.labels[queries]).mean() > 0.8
    assert steps == [(done, 60) for done in range(1, 61)]


def test_training_is_a_function_of_the_seed(shapes):
    short = TRAINING.model_copy(update={"num_steps": 2})

    def weights(seed):
        views = views_of(shapes, seed=seed)
        network, directions = train_gallery_network(SHAPE, shapes, short, views, QUIET)
        return torch.cat([directions.flatten(), network.embedding.linear.weight.flatten()])

    first = weights(1)

    assert weights(1).equal(first)
    assert not weights(2).equal(first)


def test_classes_of_one_role_alone_can_not_be_paired(shapes):
    positions = shapes.select(split="train", role="gallery")
    with_one_pair = np.append(positions, shapes.select(split="train", role="query")[0])

    with pytest.raises(BadData, match="images of both roles, got 1 of 6"):
        train(shapes.subset(with_one_pair), TRAINING)


def test_a_class_of_one_role_keeps_its_direction_among_the_others(shapes):
    """Classes without a pair are never drawn, and must not shift the rows after them."""
    lone = np.unique(shapes.labels[shapes.select(split="train")])[1]
    kept = np.flatnonzero(~((shapes.labels == lone) & shapes.is_query))

    network, directions = train(shapes.subset(kept), TRAINING)

    assert len(directions) == 6
    after = np.flatnonzero(shapes.labels > lone)
    after = after[shapes.split[after] == 0]
    named = (embed_images(network, shapes.images[after]) @ directions.numpy().T).argmax(axis=1)
    assert (named == shapes.labels[after] - 1).mean() > 0.8  # the validation class has no row


def test_a_diverging_training_says_so(shapes):
    wild = TRAINING.model_copy(update={"num_steps": 4, "learning_rate": 1e30})

    with pytest.raises(BadRun, match="must stay finite"):
        train(shapes, wild, replace(SHAPE, has_layout_head=True))
