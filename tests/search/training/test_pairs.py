"""A step of gallery training holds one image of each role of each of its classes."""

import numpy as np
import pytest

from cmpc_search.testing.views import views_of
from cmpc_search.training.compute import CPU
from cmpc_search.training.pairs import PairBatches
from cmpc_search.training.settings import GalleryTraining

TRAINING = GalleryTraining(num_steps=10, classes_per_batch=2)


@pytest.fixture
def batches(shapes):
    return PairBatches(shapes, TRAINING, views_of(shapes, seed=3), CPU)


def test_queries_come_first_and_their_partners_of_the_same_classes_after_them(batches, shapes):
    for number in range(6):
        step = batches.at(number)

        items = step.item_ids.numpy()
        assert shapes.is_query[items].tolist() == [True] * 2 + [False] * 2
        assert set(shapes.split[items]) == {0}
        classes = np.unique(shapes.labels[shapes.select(split="train")])
        assert classes[step.labels].tolist() == shapes.labels[items].tolist()
        assert len(set(step.labels[:2].tolist())) == 2
        assert step.labels[:2].equal(step.labels[2:])
        assert step.views.shape == (4, 3, shapes.size_px, shapes.size_px)


def test_an_epoch_holds_every_class_once(batches):
    drawn = [label for number in range(3) for label in batches.at(number).labels[:2].tolist()]

    assert sorted(drawn) == [*range(batches.num_classes)]


def test_a_step_is_a_function_of_its_number(batches, shapes):
    again = PairBatches(shapes, TRAINING, views_of(shapes, seed=3), CPU)

    for number in (4, 1, 4):
        assert again.at(number).views.equal(batches.at(number).views)
    assert not batches.at(1).views.equal(batches.at(4).views)
