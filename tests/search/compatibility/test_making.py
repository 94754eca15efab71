"""Methods and sums of them by name, with settings and weights, refused where they can't be."""

from dataclasses import replace

import pytest
import torch

from cmpc_base.errors import UnknownName
from cmpc_search.compatibility.bank import GalleryBank
from cmpc_search.compatibility.base import NO_LABEL, Step
from cmpc_search.compatibility.making import make_method
from cmpc_search.errors import BadArgument

DIRECTIONS = torch.eye(2)
BANK = GalleryBank(embeddings=DIRECTIONS, labels=torch.tensor([0, 1]), classifier=DIRECTIONS)
EMBEDDINGS = torch.tensor([[0.6, 0.8], [0.8, 0.6]])
STEP = Step(
    number=0,
    progress=0.0,
    views=torch.zeros(2, 3, 2, 2),
    item_ids=torch.arange(2),
    labels=torch.tensor([0, 1]),
    gallery_embeddings=torch.tensor([[1.0, 0.0], [0.8, 0.6]]),
)
"""The gallery network takes the second view for the first class."""
DISTANCES = (1 - 0.6, 1 - 1.0)


def losses_of(name, options=None, *, labels=STEP.labels):
    found = make_method(name, BANK, options).losses(EMBEDDINGS, replace(STEP, labels=labels))
    return {term: loss.item() for term, loss in found.items()}


def test_a_sum_has_the_losses_of_its_parts_each_with_its_weight():
    alone = losses_of("bct") | losses_of("csd")

    found = losses_of("bct+csd", {"csd": {"weight": 0.5}, "bct": {"weight": 3}})

    weights = {"bct own": 3, "bct gallery": 3, "csd similarities": 0.5}
    assert found == pytest.approx({name: weights[name] * loss for name, loss in alone.items()})


def test_regression_counts_ten_times_unless_somebody_says_otherwise():
    mean = sum(DISTANCES) / 2

    found = losses_of("bct+regression")["regression cosine"]
    weaker = losses_of("bct+regression", {"regression": {"weight": 2}})["regression cosine"]

    assert (found, weaker) == pytest.approx((10 * mean, 2 * mean), rel=1e-5)


@pytest.mark.parametrize(
    ("labels", "shares"),
    [
        ([0, 1], (0.8, 0.2)),  # it is wrong on the second
        ([0, 0], (0.5, 0.5)),  # on none
        ([1, NO_LABEL], (0.2, 0.8)),  # on the first; of the second nobody knows
    ],
)
def test_views_that_the_gallery_network_gets_wrong_may_count_less(labels, shares):
    options = {"regression": {"distance": "l2", "weight": 1, "wrong_weight": 0.25}}
    away = torch.tensor([0.8**0.5, 0.0])  # of [0.6, 0.8] from [1, 0]

    found = losses_of("regression", options, labels=torch.tensor(labels))

    expected = float(away @ torch.tensor(shares))
    assert found == pytest.approx({"regression l2": expected}, rel=1e-5)


def test_views_without_a_label_still_teach_what_needs_none():
    found = losses_of("bct+regression", labels=torch.full((2,), NO_LABEL))

    expected = {"bct own": 0, "bct gallery": 0, "regression cosine": 10 * sum(DISTANCES) / 2}
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("bct", {"bct": {"gallery_wight": 1}}, r"'bct' .*scale, gallery_weight\), gallery_wight"),
        ("bct+csd", {"csd": {"scale": 1}}, r"'csd' .*neighbours\), scale: Extra inputs"),
        ("bct", {"bct": {"scale": -1}}, r"scale: Input should be greater than 0"),
        ("bct+csd", {"cds": {"weight": 1}}, r"part of .* 'bct\+csd', .*'cds'; .* mean 'csd'\?"),
        ("bct+bct", {}, r"'bct\+bct' must name each part once"),
        ("ssp", {"ssp": {"parts": 3}}, r"must divide the 2 numbers of an embedding, got 3"),
    ],
)
def test_settings_that_a_method_does_not_have_are_refused(name, options, told):
    with pytest.raises(BadArgument, match=told):
        make_method(name, BANK, options)


@pytest.mark.parametrize("name", ["btc", "csd+btc"])
def test_an_unknown_method_is_told_the_known_names(name):
    with pytest.raises(UnknownName, match=r"called 'btc'.* bct, .*ssp; .*mean 'bct'\?"):
        make_method(name, BANK)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bct+regression", {}),
        ("independent", {}),
        ("regression", {"regression": {"wrong_weight": 0.5}}),
    ],
)
def test_a_method_whose_needs_the_data_do_not_meet_is_refused_in_one_sentence(name, options):
    unlabelled = GalleryBank(embeddings=DIRECTIONS, labels=None, classifier=DIRECTIONS)

    with pytest.raises(BadArgument, match=r"must have labels, .* has none; .*: csd, .*regression"):
        make_method(name, unlabelled, options)


@pytest.mark.parametrize("name", ["raml", "bct+raml"])
def test_a_method_that_compares_views_of_an_image_is_refused_where_batches_hold_one(name):
    with pytest.raises(BadArgument, match=r"views_per_item must be at least 2 .*, got 1"):
        make_method(name, BANK, views_per_item=1)

    make_method(name, BANK, views_per_item=2)
    make_method("bct+regression", BANK, views_per_item=1)


@pytest.mark.parametrize("name", ["csd", "d3still", "raml", "regression"])
def test_a_method_that_does_without_labels_works_without_them(name):
    method = make_method(name, GalleryBank(embeddings=DIRECTIONS, labels=None))

    assert sum(method.losses(EMBEDDINGS, replace(STEP, labels=None)).values()) > 0
