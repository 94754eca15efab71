"""Each compatibility method's losses, against its formula on cases small enough for paper."""

import math

import pytest
import torch

from cmpc_base.errors import UnknownName
from cmpc_search.compatibility.bank import GalleryBank
from cmpc_search.compatibility.base import NO_LABEL, Step
from cmpc_search.compatibility.catalogue import METHODS
from cmpc_search.compatibility.making import make_method
from cmpc_search.errors import BadArgument
from cmpc_search.testing.methods import MethodContract

# Two classes along the axes; an embedding [a, b] has cosines a and b to them.
DIRECTIONS = torch.eye(2)
BANK = GalleryBank(embeddings=DIRECTIONS, labels=torch.tensor([0, 1]), classifier=DIRECTIONS)
EMBEDDINGS = torch.tensor([[0.6, 0.8], [0.8, 0.6]])
SEEN_BY_GALLERY = torch.tensor([[1.0, 0.0], [0.8, 0.6]])
LABELS = torch.tensor([0, 0])
# -log softmax of the right class is log(1 + exp(wrong - right)).
FIRST = math.log1p(math.exp(16 * (0.8 - 0.6)))
SECOND = math.log1p(math.exp(16 * (0.6 - 0.8)))
REGRESSION = ((1 - 0.6) + (1 - 1.0)) / 2


@pytest.mark.parametrize("name", METHODS)
class TestEveryMethod(MethodContract):
    @pytest.fixture
    def method(self, name):
        method_class = METHODS.load(name)
        return method_class(method_class.Settings())


def step_of(labels=LABELS, seen=SEEN_BY_GALLERY):
    return Step(
        number=0,
        progress=0.0,
        views=torch.zeros(len(seen), 3, 2, 2),
        item_ids=torch.arange(len(seen)),
        labels=labels,
        gallery_embeddings=seen,
    )


def losses_of(method, labels=LABELS):
    found = method.losses(EMBEDDINGS, step_of(labels))
    return {name: loss.item() for name, loss in found.items()}


def test_bct_has_the_cross_entropies_of_both_classifiers():
    method = make_method("bct", BANK)
    with torch.no_grad():  # of length 3, which must be no matter
        method.own.weight.copy_(3 * torch.tensor([[0.8, 0.6], [0.6, 0.8]]))

    found = losses_of(method, torch.tensor([0, NO_LABEL]))

    own = math.log1p(math.exp(16 * (1.0 - 0.96)))  # cosines of the first view: 0.96 and 1
    gallery = math.log1p(math.exp(16 * (0.8 - 0.6)))
    assert found == pytest.approx({"own": own, "gallery": gallery}, rel=1e-5)


def test_a_method_has_settings_of_its_own():
    weighted = make_method("bct", BANK, {"gallery_weight": 0.25, "scale": 8})

    mean = (math.log1p(math.exp(8 * 0.2)) + math.log1p(math.exp(8 * -0.2))) / 2
    assert losses_of(weighted) == pytest.approx({"own": mean, "gallery": 0.25 * mean}, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("bct", {"gallery_wight": 1}, r"'bct' .* \(scale, gallery_weight\), gallery_wight: Extra"),
        ("regression", {"scale": 1}, r"'regression' .* \(none\), scale: Extra inputs"),
        ("bct", {"scale": -1}, r"scale: Input should be greater than 0"),
    ],
)
def test_settings_that_a_method_does_not_have_are_refused(name, settings, told):
    with pytest.raises(BadArgument, match=told):
        make_method(name, BANK, settings)


def test_regression_is_one_minus_the_cosine():
    assert losses_of(make_method("regression", BANK)) == pytest.approx(
        {"cosine": REGRESSION}, rel=1e-5
    )


def test_bct_regression_is_the_weighted_sum_of_both():
    mean = (FIRST + SECOND) / 2
    expected = {"regression cosine": 10 * REGRESSION, "bct own": mean, "bct gallery": mean}

    assert losses_of(make_method("bct-regression", BANK)) == pytest.approx(expected, rel=1e-5)
    weaker = make_method("bct-regression", BANK, {"regression_weight": 2, "gallery_weight": 0.5})
    expected |= {"regression cosine": 2 * REGRESSION, "bct gallery": mean / 2}
    assert losses_of(weaker) == pytest.approx(expected, rel=1e-5)


def test_independent_training_never_sees_the_gallery():
    torch.manual_seed(3)
    one = make_method("independent", BANK)
    torch.manual_seed(3)
    turned = GalleryBank(embeddings=-DIRECTIONS, labels=BANK.labels, classifier=-DIRECTIONS)
    other = make_method("independent", turned)

    assert losses_of(one) == losses_of(other)
    with torch.no_grad():
        one.own.weight.copy_(DIRECTIONS)
    assert losses_of(one) == pytest.approx({"own": (FIRST + SECOND) / 2}, rel=1e-5)


def test_views_without_a_label_do_not_touch_a_classifier():
    found = losses_of(make_method("bct", BANK), torch.tensor([0, NO_LABEL]))

    assert found == pytest.approx({"own": FIRST, "gallery": FIRST}, rel=1e-5)


@pytest.mark.parametrize("name", ["bct", "independent"])
def test_a_batch_without_any_label_costs_nothing_and_moves_nothing(name):
    embeddings = EMBEDDINGS.clone().requires_grad_()

    losses = make_method(name, BANK).losses(embeddings, step_of(torch.full((2,), NO_LABEL)))
    sum(losses.values()).backward()

    assert not any(loss.item() for loss in losses.values())
    assert not embeddings.grad.any()


def test_regression_learns_from_views_without_a_label():
    found = losses_of(make_method("bct-regression", BANK), torch.full((2,), NO_LABEL))

    assert sum(found.values()) == pytest.approx(10 * REGRESSION, rel=1e-5)


def test_the_gallery_classifier_is_frozen_and_the_own_one_starts_from_it():
    method = make_method("bct", BANK)
    torch.testing.assert_close(method.own.weight.detach(), DIRECTIONS)

    sum(method.losses(EMBEDDINGS, step_of()).values()).backward()

    assert [name for name, one in method.named_parameters() if one.requires_grad] == ["own.weight"]
    assert method.gallery.weight.grad is None
    assert method.own.weight.grad.abs().sum() > 0
    assert method.own.weight.data_ptr() != method.gallery.weight.data_ptr()


@pytest.mark.parametrize("name", METHODS)
def test_every_method_pulls_an_embedding_towards_the_right_answer(name):
    method = make_method(name, BANK)
    if name == "independent":
        with torch.no_grad():
            method.own.weight.copy_(DIRECTIONS)
    right = step_of(torch.tensor([0]), DIRECTIONS[:1])

    near, far = (
        sum(method.losses(torch.tensor([embedding]), right).values())
        for embedding in ([0.8, 0.6], [0.6, 0.8])
    )

    assert near < far


def test_an_unknown_method_is_told_the_known_names():
    with pytest.raises(UnknownName, match=r"called 'btc'.* bct, .*regression; .*mean 'bct'\?"):
        make_method("btc", BANK)


@pytest.mark.parametrize("name", ["bct", "bct-regression", "independent"])
def test_a_method_whose_needs_the_data_do_not_meet_is_refused_in_one_sentence(name):
    unlabelled = GalleryBank(embeddings=DIRECTIONS, labels=None, classifier=DIRECTIONS)

    with pytest.raises(
        BadArgument, match=f"{name!r} must have labels, .* has none; .* does without: .*regression"
    ):
        make_method(name, unlabelled)


def test_a_method_that_does_without_labels_works_without_them():
    unlabelled = GalleryBank(embeddings=DIRECTIONS, labels=None)

    found = losses_of(make_method("regression", unlabelled), labels=None)

    assert found == pytest.approx({"cosine": REGRESSION}, rel=1e-5)
