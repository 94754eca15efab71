"""An item whose class nobody knows is counted in no class, wherever classes are counted."""

import numpy as np
import pytest
import torch

from cmpc.pictures.contact_sheet import draw_contact_sheet
from cmpc_search.data import NO_CLASS, Drops, ImageSet
from cmpc_search.evaluation.base import LabelledRows
from cmpc_search.evaluation.open_set import OpenSet
from cmpc_search.gallery.classes import classes_in
from cmpc_search.gallery.classifier import training_classes
from cmpc_search.networks.heads import class_means
from cmpc_search.stages.answers import KnownItems
from cmpc_search.testing.views import views_of
from cmpc_search.training.compute import CPU
from cmpc_search.training.pairs import PairBatches
from cmpc_search.training.settings import GalleryTraining

SPLITS = ("train", "train", "validation", "validation", "test", "test")


@pytest.fixture
def image_set():
    """Six classes, a to f, of a query and a gallery image; then one of each role without class."""
    labels = np.array([*np.repeat(np.arange(6), 2), NO_CLASS, NO_CLASS])
    return ImageSet(
        name="letters",
        images=np.random.default_rng(0).integers(0, 256, (14, 8, 8, 3), np.uint8),
        labels=labels,
        class_names=tuple("abcdef"),
        is_query=np.arange(14) % 2 == 0,
        split=np.append(np.repeat([0, 1, 2], 4), [0, 0]).astype(np.int8),
        item_names=tuple(f"item {number}" for number in range(14)),
        sha256="0" * 64,
        licences=(),
        drops=Drops(),
    )


def test_its_set_stays_open_and_each_split_counts_its_own_classes(image_set):
    assert image_set.is_open_set
    assert {count.num_classes for count in image_set.counts().values()} == {2}
    assert "14 images of 6 classes, 2 of them of no known class" in image_set.describe()


def test_it_is_of_no_class_that_a_gallery_learnt(image_set):
    known = {one.name: one.splits for one in classes_in(image_set)}

    assert known == {name: (split,) for name, split in zip("abcdef", SPLITS, strict=True)}
    assert training_classes(image_set) == ["a", "b"]


def test_it_is_no_partner_in_training_on_pairs(image_set):
    views = views_of(image_set, seed=0)
    batches = PairBatches(image_set, GalleryTraining(num_steps=2), views, CPU)

    assert batches.listed.num_classes == 2
    assert set(batches.at(0).item_ids.tolist()) == {0, 1, 2, 3}


def test_it_moves_no_class_mean():
    rows = torch.eye(3)

    assert class_means(rows, torch.tensor([0, NO_CLASS, 1]), 2).equal(rows[[0, 2]])


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")], ids=["one numbering", "two"])
def test_it_answers_no_query_and_is_a_distractor(names):
    """The query of b meets b second: what has no class is nearer."""
    gallery = LabelledRows(
        embeddings=np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32),
        labels=np.array([NO_CLASS, names.index("b"), names.index("a")]),
        label_names=names,
    )
    queries = LabelledRows(
        embeddings=np.array([[1, 0.1]], np.float32), labels=np.array([1]), label_names=("a", "b")
    )

    assert OpenSet().evaluate(queries, gallery).ranks.mean_average_precision == 0.5


def test_it_is_on_no_sheet_of_classes(image_set):
    _, names = draw_contact_sheet(image_set, split="train", num_classes=9)

    assert names == ["a", "b"]


def test_its_class_is_told_as_unknown(image_set):
    assert KnownItems.item_at(image_set, 13).class_name is None
    assert KnownItems.item_at(image_set, 11).class_name == "f"
