"""What methods may ask of the gallery side."""

import torch

from cmpc_search.compatibility.bank import GalleryBank

EMBEDDINGS = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 1]])
LABELS = torch.tensor([1, 0, 1, 0])


def test_class_means_stand_in_for_a_classifier_that_nobody_kept():
    bank = GalleryBank(embeddings=EMBEDDINGS, labels=LABELS)

    root = 0.5**0.5
    expected = torch.tensor([[0, 0, 1], [root, root, 0]])
    torch.testing.assert_close(bank.class_directions, expected)
    assert (bank.num_classes, bank.embedding_dim) == (2, 3)


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
