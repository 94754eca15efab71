"""What a candidate is judged by: the right side, the right split, and all that may distract it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from known_set import FOUND, NUM_CLASSES, NUM_GALLERY, NUM_QUERIES, RedNetwork, as_known
from torch import nn

from cmpc_search.data import NO_CLASS, load_image_set
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.stages import judging
from cmpc_search.stages.judging import ValidationJudge

TRAIN, VALIDATION = FOUND["train"], FOUND["validation"]


@pytest.fixture
def known_material(material):
    return as_known(material)


def test_gallery_images_of_training_classes_take_first_places_from_right_ones(known_material):
    """A training picture with a query's very value stands before the right one, which is second."""
    judged = ValidationJudge(known_material).judge(RedNetwork())

    assert judged.own.top1 == pytest.approx((VALIDATION.own - TRAIN.own) / NUM_CLASSES)
    assert judged.across.top1 == pytest.approx((VALIDATION.across - TRAIN.across) / NUM_CLASSES)
    assert judged.across.num_distractors == NUM_GALLERY
    assert (judged.own.num_queries, judged.own.num_excluded) == (NUM_QUERIES, 0)


def test_the_mean_reciprocal_rank_is_that_of_the_first_right_item(known_material):
    """Without an equal, a query of class c finds its picture behind distractors and c others."""
    judged = ValidationJudge(known_material).judge(RedNetwork())

    found = [1 / 2] * TRAIN.across + [1] * (VALIDATION.across - TRAIN.across)
    missed = [1 / (NUM_GALLERY + c + 1) for c in range(VALIDATION.across, NUM_CLASSES)]
    expected = sum(found + missed) / NUM_CLASSES
    assert judged.across.mean_reciprocal_rank == pytest.approx(expected)


def test_the_cosine_is_to_the_gallery_networks_embedding_of_the_same_query(known_material):
    """Red and green of a query agree in the classes that are found across the networks."""
    judged = ValidationJudge(known_material).judge(RedNetwork())

    assert judged.cosine == pytest.approx(VALIDATION.across / NUM_CLASSES)


def test_data_whose_classes_are_in_every_split_have_no_distractors(known_material):
    labels = np.zeros(len(known_material.image_set), np.int64)
    closed = replace(known_material, image_set=replace(known_material.image_set, labels=labels))

    assert len(closed.distractors) == 0


def test_an_image_of_no_known_class_is_no_distractor(known_material):
    images, unknown = known_material.image_set, known_material.distractors[0]
    labels = images.labels.copy()
    labels[unknown] = NO_CLASS

    found = replace(known_material, image_set=replace(images, labels=labels)).distractors

    assert set(known_material.distractors) - set(found) == {unknown}


class SideNetwork(nn.Module):
    """Finds everything in the queries' first view, and nothing in the second."""

    plan = RedNetwork.plan

    def __init__(self):
        super().__init__()
        self.red = RedNetwork()

    def forward(self, images):
        return self.red(images).roll(7 * int(images[0, 2, 0, 0] > 0), dims=1)


def test_a_query_in_several_views_counts_once_with_the_mean_of_what_they_find(
    known_material, monkeypatch
):
    def mark_blue(images, *_):
        return images + torch.tensor([0.0, 0.0, 0.5])[:, None, None]

    monkeypatch.setattr(judging, "MILD", mark_blue)
    twice = known_material.settings.model_copy(update={"views_per_query": 2})
    one = ValidationJudge(known_material).judge(RedNetwork())
    both = ValidationJudge(replace(known_material, settings=twice)).judge(SideNetwork())

    assert (both.across.num_queries, both.across.num_views) == (NUM_QUERIES, 2)
    assert both.outcomes().shape == one.outcomes().shape
    assert both.across.top1 == pytest.approx(one.across.top1 / 2)
    assert both.own.top1 == pytest.approx(one.own.top1 / 2)


def test_every_network_is_asked_the_same_views(material):
    judge = ValidationJudge(material)
    torch.manual_seed(0)
    network = PlanNetwork(material.space.plan(material.space.smallest())).eval()

    assert judge.judge(network).cosine == judge.judge(network).cosine


def test_queries_are_warped_as_large_as_any_network_reads_them(material, monkeypatch):
    warped = []

    def note(images, _, size_px):
        warped.append((images.shape[-1], size_px))
        return images

    monkeypatch.setattr(judging, "MILD", note)
    small = replace(material.space, input_size_px=16)
    settings = material.settings.model_copy(update={"views_per_query": 2})

    ValidationJudge(replace(material, settings=settings)).judge(
        PlanNetwork(small.plan(small.smallest())).eval()
    )

    assert set(warped) == {(32, 32)}


def test_a_network_is_judged_on_images_prepared_at_its_own_size(material, pictures, cache_dir):
    small = replace(material.space, input_size_px=16)
    network = PlanNetwork(small.plan(small.smallest())).eval()
    at_16 = load_image_set(str(pictures), size_px=16, cache_dir=cache_dir)

    found = ValidationJudge(material).judge(network)

    assert np.array_equal(material.images_at(16).images, at_16.images)
    own = ValidationJudge(replace(material, image_set=at_16)).judge(network)
    assert found.homogeneous.num_gallery == own.homogeneous.num_gallery
