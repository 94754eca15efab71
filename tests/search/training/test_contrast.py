"""Queries are told from the gallery images of past batches too, but never from their own class."""

import math

import pytest
import torch
from pydantic import ValidationError

from cmpc_search.compatibility.base import NO_LABEL
from cmpc_search.networks.gallery.residual import ResidualShape
from cmpc_search.testing.views import views_of
from cmpc_search.training.contrast import EmbeddingQueue, contrast
from cmpc_search.training.execution import Execution
from cmpc_search.training.gallery_task import train_gallery_network
from cmpc_search.training.settings import GalleryTraining

TINY = ResidualShape(name="tiny", input_size_px=16, depths=(1,), width=8, embedding_dim=6)
AXES = torch.eye(4)


def test_partners_are_found_both_ways():
    """Worked by hand: cosines 1 and 0 of two pairs, so each of four rows is softmax of (s, 0)."""
    embeddings = torch.cat([AXES[:2], AXES[:2]])

    found = contrast(embeddings, torch.tensor([5, 6, 5, 6]), EmbeddingQueue(0, 4), scale=3.0)

    assert found.item() == pytest.approx(math.log(1 + math.exp(-3)), rel=1e-5)


def test_two_pairs_of_a_class_are_not_told_from_each_other():
    """Two joined pairs are: nobody knows what class they are of."""
    embeddings = AXES[[0, 0, 1, 0, 0, 1]]

    def found(one: int, two: int) -> float:
        labels = torch.tensor([one, two, 6]).repeat(2)
        return contrast(embeddings, labels, EmbeddingQueue(0, 4), scale=3.0).item()

    first, third = math.log(1 + math.exp(-3)), math.log(1 + 2 * math.exp(-3))
    assert found(5, 5) == pytest.approx((2 * first + third) / 3, rel=1e-5)
    joined = math.log(2 + math.exp(-3))
    assert found(NO_LABEL, NO_LABEL) == pytest.approx((2 * joined + third) / 3, rel=1e-5)


def test_what_is_kept_counts_for_queries_unless_it_is_of_their_class():
    """Of three kept one is the first query's double: it counts for the second query alone."""
    queue = EmbeddingQueue(8, 4)
    queue.push(AXES[[0, 2, 3]], torch.tensor([5, 7, 8]))
    embeddings = torch.cat([AXES[:2], AXES[:2]])

    found = contrast(embeddings, torch.tensor([5, 6, 5, 6]), queue, scale=3.0)

    first = math.log(1 + 3 * math.exp(-3))  # its rival in the batch, and two kept
    second = math.log(1 + 4 * math.exp(-3))
    back = math.log(1 + math.exp(-3))
    assert found.item() == pytest.approx(((first + second) / 2 + back) / 2, rel=1e-5)


def test_the_oldest_make_room_and_no_gradient_is_kept():
    queue = EmbeddingQueue(3, 4)
    queue.push(AXES[:2].clone().requires_grad_(), torch.tensor([0, 1]))
    queue.push(AXES[2:], torch.tensor([2, 3]))

    assert sorted(queue.labels.tolist()) == [1, 2, 3]
    assert queue.embeddings[queue.labels == 3].equal(AXES[3:])
    assert not queue.embeddings.requires_grad
    queue.push(torch.eye(5, 4), torch.arange(10, 15))  # more than there is room for
    assert sorted(queue.labels.tolist()) == [12, 13, 14]


class Killed(Exception):
    pass


def test_a_killed_training_goes_on_with_what_its_queue_held(shapes, tmp_path):
    training = GalleryTraining(num_steps=6, classes_per_batch=2, micro_batches=1, queue_size=5)

    def weights(**execution):
        network, _ = train_gallery_network(
            TINY, shapes, training, views_of(shapes), Execution(**execution)
        )
        return network.embedding.linear.weight

    def kill(done, total):
        if done == 4:
            raise Killed

    kept = {"checkpoint": tmp_path / "checkpoint.safetensors", "checkpoint_steps": 4}
    with pytest.raises(Killed):
        weights(progress=kill, **kept)

    assert weights(**kept).equal(weights())
    without = training.model_copy(update={"queue_size": 0})
    network, _ = train_gallery_network(TINY, shapes, without, views_of(shapes), Execution())
    assert not network.embedding.linear.weight.equal(weights())


def test_a_queue_of_parts_of_batches_is_refused():
    """Each process would keep the parts that it saw, and a training depend on their number."""
    with pytest.raises(ValidationError, match="set micro_batches = 1 beside queue_size, got 2"):
        GalleryTraining(queue_size=5, micro_batches=2)
