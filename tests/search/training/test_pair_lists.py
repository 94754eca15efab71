"""Further data sets bring pairs of training classes, and of nothing that validates or tests."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cmpc_search.data import NO_CLASS, further_classes
from cmpc_search.testing.views import views_of
from cmpc_search.training.compute import CPU
from cmpc_search.training.execution import Execution
from cmpc_search.training.gallery_task import train_gallery_network
from cmpc_search.training.pair_lists import list_pairs
from cmpc_search.training.pairs import PairBatches
from cmpc_search.training.settings import GalleryTraining
from cmpc_search.training.views import ViewMaker
from tests.search.training.test_pairs import TINY

VALIDATES_THERE, VALIDATES_HERE = 1, 2


@pytest.fixture
def further(shapes):
    """The same shapes by other hands: class 1 validates there, class 6 is one that only it has."""
    names = (*shapes.class_names[:6], "shape 7")
    return replace(
        shapes,
        name="further",
        images=255 - shapes.images,
        class_names=names,
        class_keys=names,
        split=(shapes.labels == VALIDATES_THERE).astype(np.int8),
        styles=(shapes.images,),
    )


def class_of(position: int, *image_sets) -> str:
    for image_set in image_sets:
        if position < len(image_set):
            return image_set.class_keys[image_set.labels[position]]
        position -= len(image_set)
    raise AssertionError(position)


def test_without_further_data_a_pair_is_of_both_roles(shapes):
    listed = list_pairs(shapes, (), with_instances=False)

    assert (len(listed.pairs), listed.num_labels) == (6, 6)
    assert all(shapes.is_query[pair.queries].all() for pair in listed.pairs)
    assert not any(shapes.is_query[pair.partners].any() for pair in listed.pairs)


def test_classes_are_the_same_by_their_keys_and_new_ones_come_after(shapes, further):
    listed = list_pairs(shapes, (further,), with_instances=False)

    assert (listed.num_classes, listed.num_further_classes, listed.num_instances) == (6, 1, 0)
    classes = sorted(set(shapes.labels[shapes.select(split="train")].tolist()))
    keys = [shapes.class_keys[label] for label in classes] + ["shape 7"]
    for pair in listed.pairs:
        for position in (*pair.queries, *pair.partners):
            assert class_of(position, shapes, further) == keys[pair.label]


def test_what_validates_in_any_of_the_sets_brings_no_further_pairs(shapes, further):
    listed = list_pairs(shapes, (further,), with_instances=False)

    pools = [pair for pair in listed.pairs if pair.is_of_one_pool]
    shown = {class_of(position, shapes, further) for pair in pools for position in pair.queries}
    assert shown == {"shape 0", "shape 3", "shape 4", "shape 5", "shape 7"}
    assert {len(pair.queries) for pair in pools} == {8, 16}  # of the set that is shared, of both


def test_a_class_that_validates_is_kept_out_by_its_name_where_one_set_has_no_keys(shapes, further):
    keyed = replace(shapes, class_keys=tuple(f"1F60{label}" for label in range(7)))

    assert further_classes(keyed, (further,)).keys() == {
        "shape 0",
        "shape 3",
        "shape 4",
        "shape 5",
        "shape 7",
    }
    both_keyed = replace(further, class_keys=tuple(f"2F60{label}" for label in range(7)))
    assert "2F602" in further_classes(keyed, (both_keyed,))  # another class of the same name


def test_further_pairs_are_no_more_than_their_share(shapes, further):
    def listed(share):
        return list_pairs(shapes, (further,), with_instances=False, further_share=share).pairs

    assert [sum(pair.is_of_one_pool for pair in listed(share)) for share in (0.2, 0.5, 1)] == [
        5
    ] * 3
    assert [len(listed(share)) for share in (0.2, 0.5, 1)] == [5 + 18, 5 + 6, 5 + 6]


def test_pictures_of_no_class_in_further_data_are_classes_after_all_others(shapes, further):
    unnamed = replace(further, labels=np.where(further.labels == 3, NO_CLASS, further.labels))

    listed = list_pairs(shapes, (unnamed,), with_instances=True)

    alone = listed.pairs[-listed.num_instances :]
    assert [pair.label for pair in alone] == list(range(7, 15))
    places = np.concatenate([pair.queries for pair in alone]) - len(shapes)
    assert (unnamed.labels[places] == NO_CLASS).all()


def test_views_of_further_data_show_two_images_of_their_class(shapes, further):
    training = GalleryTraining(num_steps=200, classes_per_batch=4, joined_share=0.0)
    views = ViewMaker.of_all(shapes, views_of(shapes, seed=3).recipe, shapes.size_px, (further,))
    batches = PairBatches(shapes, training, views, CPU, (further,))

    seen = set()
    for number in range(60):
        queries, partners = batches.at(number).item_ids.view(2, -1).tolist()
        for query, partner in zip(queries, partners, strict=True):
            assert query != partner
            assert class_of(query, shapes, further) == class_of(partner, shapes, further)
            seen |= {query, partner}
    assert any(position >= len(shapes) for position in seen)
    kept_out = {
        *np.flatnonzero(shapes.labels == VALIDATES_HERE).tolist(),
        *(len(shapes) + np.flatnonzero(np.isin(further.labels, (1, 2)))).tolist(),
    }
    assert not seen & kept_out


def test_pictures_are_read_out_of_the_set_that_they_are_in(shapes, further):
    views = ViewMaker.of_all(shapes, views_of(shapes, seed=3).recipe, shapes.size_px, (further,))
    rows = torch.tensor([0, len(shapes), len(shapes) + 5, 5])

    plain = views.pictures.read(rows, torch.zeros(4, dtype=torch.int64)).numpy()
    styled = views.pictures.read(rows, torch.ones(4, dtype=torch.int64)).numpy()

    assert np.array_equal(plain[[0, 3]], shapes.images[[0, 5]])
    assert np.array_equal(plain[1:3], further.images[[0, 5]])
    assert np.array_equal(styled[1:3], further.styles[0][[0, 5]])
    assert np.array_equal(styled[[0, 3]], shapes.images[[0, 5]])  # has no other style


def test_directions_are_those_of_the_classes_of_its_own_data(shapes, further):
    views = ViewMaker.of_all(shapes, views_of(shapes, seed=3).recipe, shapes.size_px, (further,))
    training = GalleryTraining(num_steps=1, classes_per_batch=4)

    _, directions = train_gallery_network(TINY, shapes, training, views, Execution(), (further,))

    assert directions.shape == (6, TINY.embedding_dim)
