"""Each compatibility method's losses, against its formula on cases small enough for paper."""

import math
from dataclasses import replace

import pytest
import torch
from torch.distributions import Categorical, kl_divergence
from torch.nn import functional

from cmpc_search.compatibility.bank import GalleryBank
from cmpc_search.compatibility.base import NO_LABEL, Step
from cmpc_search.compatibility.catalogue import METHODS
from cmpc_search.compatibility.making import make_method
from cmpc_search.compatibility.ssp import spherical_k_means

# Two classes along the axes; an embedding [a, b] has cosines a and b to them.
DIRECTIONS = torch.eye(2)
BANK = GalleryBank(embeddings=DIRECTIONS, labels=torch.tensor([0, 1]), classifier=DIRECTIONS)
EMBEDDINGS = torch.tensor([[0.6, 0.8], [0.8, 0.6]])
SEEN_BY_GALLERY = torch.tensor([[1.0, 0.0], [0.8, 0.6]])
LABELS = torch.tensor([0, 0])
# -log softmax of the right class is log(1 + exp(wrong - right)).
FIRST = math.log1p(math.exp(16 * (0.8 - 0.6)))
SECOND = math.log1p(math.exp(16 * (0.6 - 0.8)))
# Three views of the gallery network at 0, 37 and 90 degrees.
FAN = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])


def step_of(labels=LABELS, seen=SEEN_BY_GALLERY):
    return Step(
        number=0,
        progress=0.0,
        views=torch.zeros(len(seen), 3, 2, 2),
        item_ids=torch.arange(len(seen)),
        labels=labels,
        gallery_embeddings=seen,
    )


def numbers(losses):
    return {name: loss.item() for name, loss in losses.items()}


def losses_of(method, labels=LABELS):
    return numbers(method.losses(EMBEDDINGS, step_of(labels)))


def losses_in_fan(name, first, **settings):
    """Return the losses where the first of three views is embedded wrongly, the others rightly."""
    method = make_method(name, BANK, {name: settings})
    embeddings = FAN.clone()
    embeddings[0] = torch.tensor(first)
    step = replace(step_of(None, FAN), item_ids=torch.tensor([0, 0, 1]))
    return numbers(method.losses(embeddings, step))


def test_bct_has_the_cross_entropies_of_both_classifiers():
    method = make_method("bct", BANK)
    with torch.no_grad():  # of length 3, which must be no matter
        method.parts["bct"].own.weight.copy_(3 * torch.tensor([[0.8, 0.6], [0.6, 0.8]]))

    found = losses_of(method, torch.tensor([0, NO_LABEL]))

    own = math.log1p(math.exp(16 * (1.0 - 0.96)))  # cosines of the first view: 0.96 and 1
    gallery = math.log1p(math.exp(16 * (0.8 - 0.6)))
    assert found == pytest.approx({"bct own": own, "bct gallery": gallery}, rel=1e-5)


def test_a_method_has_settings_of_its_own():
    weighted = make_method("bct", BANK, {"bct": {"gallery_weight": 0.25, "scale": 8}})

    mean = (math.log1p(math.exp(8 * 0.2)) + math.log1p(math.exp(8 * -0.2))) / 2
    expected = {"bct own": mean, "bct gallery": 0.25 * mean}
    assert losses_of(weighted) == pytest.approx(expected, rel=1e-5)


def test_independent_training_never_sees_the_gallery():
    torch.manual_seed(3)
    one = make_method("independent", BANK)
    torch.manual_seed(3)
    turned = GalleryBank(embeddings=-DIRECTIONS, labels=BANK.labels, classifier=-DIRECTIONS)
    other = make_method("independent", turned)

    assert losses_of(one) == losses_of(other)
    with torch.no_grad():
        one.parts["independent"].own.weight.copy_(DIRECTIONS)
    expected = {"independent own": (FIRST + SECOND) / 2}
    assert losses_of(one) == pytest.approx(expected, rel=1e-5)


def test_views_without_a_label_do_not_touch_a_classifier():
    found = losses_of(make_method("bct", BANK), torch.tensor([0, NO_LABEL]))

    assert found == pytest.approx({"bct own": FIRST, "bct gallery": FIRST}, rel=1e-5)


@pytest.mark.parametrize("name", ["bct", "cross-role", "independent"])
def test_a_batch_without_any_label_costs_nothing_and_moves_nothing(name):
    embeddings = EMBEDDINGS.clone().requires_grad_()

    losses = make_method(name, BANK).losses(embeddings, step_of(torch.full((2,), NO_LABEL)))
    sum(losses.values()).backward()

    assert not any(loss.item() for loss in losses.values())
    assert not embeddings.grad.any()


def test_the_gallery_classifier_is_frozen_and_the_own_one_starts_from_it():
    method = make_method("bct", BANK)
    part = method.parts["bct"]
    torch.testing.assert_close(part.own.weight.detach(), DIRECTIONS)

    sum(method.losses(EMBEDDINGS, step_of()).values()).backward()

    learnt = [name for name, one in method.named_parameters() if one.requires_grad]
    assert learnt == ["parts.bct.own.weight"]
    assert part.gallery.weight.grad is None
    assert part.own.weight.grad.abs().sum() > 0
    assert part.own.weight.data_ptr() != part.gallery.weight.data_ptr()


@pytest.mark.parametrize(
    ("distance", "of_the_first"), [("cosine", 1 - 0.6), ("l2", math.hypot(0.4, 0.8))]
)
def test_regression_is_one_minus_the_cosine_or_the_distance(distance, of_the_first):
    method = make_method("regression", BANK, {"regression": {"distance": distance, "weight": 3}})

    found = losses_of(method)

    assert found == pytest.approx({f"regression {distance}": 3 * of_the_first / 2}, rel=1e-5)


def test_csd_compares_similarities_to_the_own_embedding_and_all_gallery_rows():
    settings = {"temperature": 0.5, "gallery_temperature": 0.25}
    # The third image is on the query side, and no context.
    bank = GalleryBank(embeddings=FAN, labels=None, is_query=torch.tensor([False, True, False]))

    found = losses_of(make_method("csd", bank, {"csd": settings}))

    # [own, first row, last row] for each view
    wanted = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.8, 0.6]]) / 0.25
    query = torch.tensor([[0.6, 0.6, 0.8], [1.0, 0.8, 0.6]]) / 0.5
    expected = kl_divergence(Categorical(logits=wanted), Categorical(logits=query)).mean().item()
    assert found == pytest.approx({"csd similarities": expected}, rel=1e-5)


def test_csd_may_look_at_the_nearest_rows_of_the_view_s_image_alone():
    settings = {"temperature": 1, "gallery_temperature": 1, "neighbours": 1}
    bank = GalleryBank(embeddings=FAN, labels=None, is_query=torch.tensor([True, False, False]))

    found = losses_of(make_method("csd", bank, {"csd": settings}))

    # The row nearest to the first image is the second, and to the second it is itself: [0.8, 0.6].
    wanted = torch.tensor([[1.0, 0.8], [1.0, 1.0]])
    query = torch.tensor([[0.6, 0.96], [1.0, 1.0]])
    expected = kl_divergence(Categorical(logits=wanted), Categorical(logits=query)).mean().item()
    assert found == pytest.approx({"csd similarities": expected}, rel=1e-5)


@pytest.mark.parametrize(
    ("first", "difference", "kind"), [([0.6, 0.8], 0.16, "kept"), ([0.0, 1.0], -0.4, "turned")]
)
def test_d3still_tells_turned_pairs_of_similarities_from_kept_ones(first, difference, kind):
    found = losses_in_fan("d3still", first, neighbours=2, turned_weight=5, kept_weight=3)

    # Similarities of the first view to the others: 0.8 and 0 to the gallery network.
    norm = math.sqrt(2) * abs(difference - 0.8) / (0.1 + 0.8)
    expected = dict.fromkeys(("d3still turned", "d3still kept"), 0.0)
    expected["d3still feature"] = 50 * (1 - first[0]) / 3
    expected[f"d3still {kind}"] = (5 if kind == "turned" else 3) * norm / 3 / 2
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_raml_relates_the_views_of_one_image_and_of_no_other():
    found = losses_in_fan("raml", [0.6, 0.8], weight=1, cross_weight=0.5, own_weight=0.25)

    error = (0.96 - 0.8) ** 2  # of the two views of the first image
    expected = {
        "raml absolute": (1 - 0.6) ** 2 / 3,
        "raml cross": 0.5 * (error + 0) / 2,
        "raml own": 0.25 * error,
    }
    assert found == pytest.approx(expected, rel=1e-4)


def test_ssp_compares_assignments_to_the_anchors_part_by_part():
    # Two images, and so two anchors a part: the axes of each.
    rows = functional.normalize(torch.tensor([[1.0, 0, 2, 0], [0, 1.0, 0, 2]]))
    method = make_method("ssp", GalleryBank(embeddings=rows, labels=None), {"ssp": {"parts": 2}})
    query = torch.tensor([[0.6, 0.8, 0.8, 0.6]]) / math.sqrt(2)

    found = numbers(method.losses(query, step_of(None, rows[:1])))

    wanted = Categorical(logits=10 * torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    mine = Categorical(logits=10 * torch.tensor([[0.6, 0.8], [0.8, 0.6]]))
    expected = kl_divergence(wanted, mine).mean().item()
    assert found == pytest.approx({"ssp anchors": expected}, rel=1e-4)


def test_k_means_finds_the_middle_of_each_bunch():
    generator = torch.Generator().manual_seed(0)
    middles = torch.eye(3)
    noise = 0.05 * torch.randn(90, 3, generator=generator)
    vectors = functional.normalize(middles.repeat(30, 1) + noise)

    found = spherical_k_means(vectors, 3, torch.Generator().manual_seed(1))

    nearest = (middles @ found.T).argmax(dim=1)
    assert sorted(nearest.tolist()) == [0, 1, 2]
    expected = torch.stack([vectors[one::3].mean(dim=0) for one in range(3)])
    torch.testing.assert_close(found[nearest], functional.normalize(expected))


def test_cross_role_ranks_the_gallery_rows_of_the_class_among_all():
    # The fourth class has a query alone: nothing to find.
    bank = GalleryBank(
        embeddings=torch.cat([FAN, DIRECTIONS]),
        labels=torch.tensor([0, 0, 1, 1, 2]),
        is_query=torch.tensor([False, False, False, True, True]),
    )
    method = make_method("cross-role", bank, {"cross-role": {"scale": 4}})

    found = losses_of(method, torch.tensor([0, 2]))

    scores = [math.exp(4 * one) for one in (0.6, 0.96, 0.8)]
    expected = -math.log((scores[0] + scores[1]) / sum(scores))
    assert found == pytest.approx({"cross-role rank": expected}, rel=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_pulls_an_embedding_towards_the_right_answer(name):
    settings = {"ssp": {"parts": 1}} if name == "ssp" else {}
    method = make_method(name, BANK, settings)
    if name == "independent":
        with torch.no_grad():
            method.parts[name].own.weight.copy_(DIRECTIONS)
    right = step_of(torch.tensor([0]), DIRECTIONS[:1])

    near, far = (
        sum(method.losses(torch.tensor([embedding]), right).values())
        for embedding in ([0.8, 0.6], [0.6, 0.8])
    )

    assert near < far
