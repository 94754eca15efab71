"""Each compatibility method's loss, against its formula on cases small enough for paper."""

import math

import pytest
import torch

from cmpc_base.errors import UnknownName
from cmpc_search.compatibility import METHODS, Batch, make_method
from cmpc_search.compatibility.base import NO_LABEL
from cmpc_search.compatibility.bct import BackwardCompatible
from cmpc_search.compatibility.regression import REGRESSION_WEIGHT

# Two classes along the axes; an embedding [a, b] has cosines a and b to them.
DIRECTIONS = torch.eye(2)
EMBEDDINGS = torch.tensor([[0.6, 0.8], [0.8, 0.6]])
TARGETS = torch.tensor([[1.0, 0.0], [0.8, 0.6]])
LABELS = torch.tensor([0, 0])
# -log softmax of the right class is log(1 + exp(wrong - right)).
FIRST = math.log1p(math.exp(16 * (0.8 - 0.6)))
SECOND = math.log1p(math.exp(16 * (0.6 - 0.8)))
REGRESSION = ((1 - 0.6) + (1 - 1.0)) / 2


def loss_of(method, labels=LABELS):
    return method.loss(EMBEDDINGS, Batch(labels=labels, targets=TARGETS)).item()


def test_bct_adds_the_cross_entropies_of_both_classifiers():
    method = make_method("bct", DIRECTIONS)
    with torch.no_grad():  # of length 3, which must be no matter
        method.own.weight.copy_(3 * torch.tensor([[0.8, 0.6], [0.6, 0.8]]))

    found = loss_of(method, torch.tensor([0, NO_LABEL]))

    own = math.log1p(math.exp(16 * (1.0 - 0.96)))  # cosines of the first view: 0.96 and 1
    gallery = math.log1p(math.exp(16 * (0.8 - 0.6)))
    assert found == pytest.approx(own + gallery, rel=1e-5)


def test_the_gallery_term_of_bct_is_weighted():
    weighted = BackwardCompatible(DIRECTIONS, gallery_weight=0.25)

    assert loss_of(weighted) == pytest.approx(1.25 * (FIRST + SECOND) / 2, rel=1e-5)


def test_regression_is_one_minus_the_cosine():
    assert loss_of(make_method("regression", DIRECTIONS)) == pytest.approx(REGRESSION, rel=1e-5)


def test_bct_regression_is_the_weighted_sum_of_both():
    expected = (FIRST + SECOND) + REGRESSION_WEIGHT * REGRESSION

    assert loss_of(make_method("bct-regression", DIRECTIONS)) == pytest.approx(expected, rel=1e-5)


def test_independent_training_never_sees_the_gallery():
    torch.manual_seed(3)
    one = make_method("independent", DIRECTIONS)
    torch.manual_seed(3)
    other = make_method("independent", -DIRECTIONS)

    assert loss_of(one) == loss_of(other)
    with torch.no_grad():
        one.own.weight.copy_(DIRECTIONS)
    assert loss_of(one) == pytest.approx((FIRST + SECOND) / 2, rel=1e-5)


def test_views_without_a_label_do_not_touch_a_classifier():
    method = make_method("bct", DIRECTIONS)

    assert loss_of(method, torch.tensor([0, NO_LABEL])) == pytest.approx(2 * FIRST, rel=1e-5)


@pytest.mark.parametrize("name", ["bct", "independent"])
def test_a_batch_without_any_label_costs_nothing_and_moves_nothing(name):
    method = make_method(name, DIRECTIONS)
    embeddings = EMBEDDINGS.clone().requires_grad_()

    loss = method.loss(embeddings, Batch(labels=torch.full((2,), NO_LABEL), targets=TARGETS))
    loss.backward()

    assert loss.item() == 0
    assert not embeddings.grad.any()


def test_regression_learns_from_views_without_a_label():
    method = make_method("bct-regression", DIRECTIONS)

    found = loss_of(method, torch.full((2,), NO_LABEL))

    assert found == pytest.approx(REGRESSION_WEIGHT * REGRESSION, rel=1e-5)


def test_the_gallery_classifier_is_frozen_and_the_own_one_starts_from_it():
    method = make_method("bct", DIRECTIONS)
    torch.testing.assert_close(method.own.weight.detach(), DIRECTIONS)

    method.loss(EMBEDDINGS, Batch(labels=LABELS, targets=TARGETS)).backward()

    assert [name for name, one in method.named_parameters() if one.requires_grad] == ["own.weight"]
    assert method.gallery.weight.grad is None
    assert method.own.weight.grad.abs().sum() > 0
    assert method.own.weight.data_ptr() != method.gallery.weight.data_ptr()


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_pulls_an_embedding_towards_the_right_answer(name):
    method = make_method(name, DIRECTIONS)
    if name == "independent":
        with torch.no_grad():
            method.own.weight.copy_(DIRECTIONS)
    right = Batch(labels=torch.tensor([0]), targets=DIRECTIONS[:1])

    near = method.loss(torch.tensor([[0.8, 0.6]]), right)
    far = method.loss(torch.tensor([[0.6, 0.8]]), right)

    assert near < far


def test_an_unknown_method_is_told_the_known_names():
    with pytest.raises(UnknownName, match=r"called 'btc'.* bct, bct-regression, .*mean 'bct'\?"):
        make_method("btc", DIRECTIONS)
