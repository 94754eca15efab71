"""A step of gallery training holds one image of each role of each of its classes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cmpc_search.compatibility.base import NO_LABEL
from cmpc_search.data import NO_CLASS
from cmpc_search.networks.gallery.residual import ResidualShape
from cmpc_search.testing.views import views_of
from cmpc_search.training.compute import CPU
from cmpc_search.training.execution import Execution
from cmpc_search.training.gallery_task import train_gallery_network
from cmpc_search.training.pairs import PairBatches
from cmpc_search.training.settings import GalleryTraining
from cmpc_search.training.views import ANY_STYLE

TINY = ResidualShape(name="tiny", input_size_px=16, depths=(1,), width=8, embedding_dim=6)
TRAINING = GalleryTraining(
    num_steps=10, classes_per_batch=2, joined_share=0.0, instance_classes=False
)


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

    assert sorted(drawn) == [*range(batches.listed.num_classes)]


def test_a_step_is_a_function_of_its_number(batches, shapes):
    again = PairBatches(shapes, TRAINING, views_of(shapes, seed=3), CPU)

    for number in (4, 1, 4):
        assert again.at(number).views.equal(batches.at(number).views)
    assert not batches.at(1).views.equal(batches.at(4).views)


@pytest.fixture
def with_unknown(shapes):
    """The shapes, of which one training class has lost its name, and all in three more styles."""
    unnamed = shapes.labels == 0
    return replace(
        shapes,
        labels=np.where(unnamed, NO_CLASS, shapes.labels),
        styles=tuple(np.full_like(shapes.images, shade) for shade in (0, 100, 200)),
    )


def test_images_of_no_class_are_classes_of_their_own_after_the_others(with_unknown):
    training = TRAINING.model_copy(update={"instance_classes": True, "num_steps": 100})
    found = PairBatches(with_unknown, training, views_of(with_unknown, seed=3), CPU)

    assert (found.listed.num_classes, found.listed.num_instances) == (5, 8)
    unknown = np.flatnonzero(with_unknown.labels == NO_CLASS)
    drawn = set()
    for number in range(6):  # 13 classes, two a step
        step = found.at(number)
        for label, query, partner in zip(
            step.labels[:2].tolist(), *step.item_ids.view(2, 2).tolist(), strict=True
        ):
            drawn.add(label)
            assert (label >= 5) == (query in unknown)
            assert label < 5 or query == partner == unknown[label - 5]
    assert len(drawn) == 12


def test_the_two_roles_see_an_image_of_no_class_in_two_styles(with_unknown):
    training = TRAINING.model_copy(update={"instance_classes": True, "num_steps": 100})
    asked = {}

    class Recording:
        """Views that keep which styles were asked for; steps may be made ahead, in any order."""

        recipe, pictures = (
            getattr(views_of(with_unknown, seed=3), name) for name in ("recipe", "pictures")
        )

        def make(self, rows, numbers, compute, *, styles):
            asked[int(numbers[0])] = styles
            return torch.zeros(len(rows), 2, 2, 3, dtype=torch.uint8)

    found = PairBatches(with_unknown, training, Recording(), CPU)
    labels = torch.cat([found.at(number).labels.view(2, 2) for number in range(60)], dim=1)
    in_turn = sorted(asked)[:60]
    queries, gallery = torch.cat([asked[one].view(2, 2) for one in in_turn], dim=1)

    is_own = labels[0] >= found.listed.num_classes
    assert set(queries[is_own].tolist()) == set(gallery[is_own].tolist()) == {0, 1, 2, 3}
    assert (queries != gallery)[is_own].all()
    assert (queries[~is_own] == ANY_STYLE).all()
    assert (gallery[~is_own] == ANY_STYLE).all()


def test_without_styles_or_unasked_no_image_is_a_class_of_its_own(with_unknown):
    asked = TRAINING.model_copy(update={"instance_classes": True})
    plain = replace(with_unknown, styles=())

    for image_set, training in ((plain, asked), (with_unknown, TRAINING)):
        found = PairBatches(image_set, training, views_of(image_set, seed=3), CPU)
        assert (found.listed.num_classes, found.listed.num_instances) == (5, 0)


def test_directions_are_those_of_the_classes_that_have_a_name(with_unknown):
    training = TRAINING.model_copy(update={"instance_classes": True, "num_steps": 1})

    _, directions = train_gallery_network(
        TINY, with_unknown, training, views_of(with_unknown, seed=3), Execution()
    )

    assert directions.shape == (5, 6)


def test_joined_pairs_have_the_same_part_of_the_same_neighbour_on_both_sides(shapes):
    whole = TRAINING.model_copy(update={"classes_per_batch": 4, "micro_batches": 1})
    views = views_of(shapes, seed=3)
    plain = PairBatches(shapes, whole, views, CPU).at(1)
    joined = PairBatches(shapes, whole.model_copy(update={"joined_share": 1.0}), views, CPU).at(1)

    assert (joined.labels == NO_LABEL).all()
    assert joined.item_ids.equal(plain.item_ids)
    for side, given in zip(joined.views.chunk(2), plain.views.chunk(2), strict=True):
        is_own, is_neighbour = side == given, side == given.roll(1, dims=0)
        assert (is_own | is_neighbour).all()
    pasted = [
        (side != given).any(dim=1)
        for side, given in zip(joined.views.chunk(2), plain.views.chunk(2), strict=True)
    ]
    for one, other in zip(*pasted, strict=True):  # the smallest box around what has changed
        if one.any() and other.any():
            assert abs(_box(one) - _box(other)).max() <= 4


def _box(is_changed):
    rows, columns = (np.flatnonzero(is_changed.any(dim=axis)) for axis in (1, 0))
    return np.array([rows[0], rows[-1], columns[0], columns[-1]])
