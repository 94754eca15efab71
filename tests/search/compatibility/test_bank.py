"""What methods may ask of the gallery side."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from cmpc_search.compatibility import bank as module
from cmpc_search.compatibility.bank import NO_LABEL, GalleryBank

EMBEDDINGS = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 1]])
LABELS = torch.tensor([1, 0, 1, 0])


def test_class_means_stand_in_for_a_classifier_that_nobody_kept():
    bank = GalleryBank(embeddings=EMBEDDINGS, labels=LABELS)

    root = 0.5**0.5
    expected = torch.tensor([[0, 0, 1], [root, root, 0]])
    torch.testing.assert_close(bank.class_directions, expected)
    assert (bank.num_classes, bank.embedding_dim) == (2, 3)


def test_an_image_of_no_known_class_is_in_no_mean():
    labels = torch.tensor([1, 0, 1, NO_LABEL])

    found = GalleryBank(embeddings=EMBEDDINGS, labels=labels).class_directions

    root = 0.5**0.5
    torch.testing.assert_close(found, torch.tensor([[0, 0, 1], [root, root, 0]]))


@pytest.mark.parametrize(
    ("is_query", "expected"),
    [(None, [0, 1, 2, 3]), ([True, False, True, False], [1, 3]), ([True] * 4, [0, 1, 2, 3])],
)
def test_gallery_rows_are_those_that_a_search_would_look_through(is_query, expected):
    roles = None if is_query is None else torch.tensor(is_query)

    bank = GalleryBank(embeddings=EMBEDDINGS, labels=LABELS, is_query=roles)

    assert bank.gallery_positions.tolist() == expected
    assert bank.gallery_rows.equal(EMBEDDINGS[expected])


@pytest.mark.parametrize("most", [3, 256])
def test_neighbours_are_exact_whatever_is_in_memory_at_once(monkeypatch, most):
    monkeypatch.setattr(module, "BLOCK_SIZE", 7)
    monkeypatch.setattr(module, "MOST_NEIGHBOURS", most)
    generator = torch.Generator().manual_seed(0)
    embeddings = functional.normalize(torch.randn(40, 5, generator=generator))
    is_query = torch.arange(40) % 2 == 0

    found = GalleryBank(embeddings=embeddings, labels=None, is_query=is_query).neighbours

    angles = np.arccos(np.clip(embeddings.numpy() @ embeddings.numpy()[1::2].T, -1, 1))
    assert found.tolist() == angles.argsort(axis=1)[:, :most].tolist()


def test_the_gallery_s_own_classifier_comes_first_and_is_computed_once():
    own = torch.eye(2, 3)

    bank = GalleryBank(embeddings=EMBEDDINGS, labels=LABELS, classifier=own)

    assert bank.class_directions is own
    means = GalleryBank(embeddings=EMBEDDINGS, labels=LABELS)
    assert means.class_directions is means.class_directions


def test_nothing_of_the_gallery_is_left_in_a_made_up_bank():
    torch.manual_seed(0)
    one = GalleryBank(embeddings=EMBEDDINGS, labels=LABELS).made_up()
    torch.manual_seed(0)
    other = GalleryBank(embeddings=-EMBEDDINGS, labels=LABELS).made_up()

    assert one.class_directions.equal(other.class_directions)
    assert one.embeddings.equal(other.embeddings)
    assert (one.num_classes, one.embedding_dim) == (2, 3)
