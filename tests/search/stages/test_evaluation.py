"""What an evaluation concludes, on numbers that anybody can check by hand."""

import json
from dataclasses import replace

import pytest

from cmpc_cost_models import Cost
from cmpc_search.stages.evaluation import Evaluation, NetworkCost, PickAccuracy, amortised_macs
from cmpc_search.study import Accuracy


@pytest.mark.parametrize(
    ("ratio", "published"), [(0, 7597), (0.1, 6936), (1, 3963), (10, 990), (100, 401), (1000, 336)]
)
def test_amortised_macs_are_those_of_the_poster(ratio, published):
    assert round(amortised_macs(329, 7597, ratio)) == published


def accuracy(top1):
    return Accuracy(top1=top1, top10=1.0, mean_average_precision=top1)


def pick(seed, own, across):
    return PickAccuracy(seed=seed, homogeneous=accuracy(own), heterogeneous=accuracy(across))


def latency(value):
    return Cost(name="latency", value=value, unit="ms", source="measured", machine={}, versions={})


@pytest.fixture
def found():
    return Evaluation(
        num_classes=4,
        num_queries=8,
        num_gallery=8,
        chance_top1=0.25,
        paragon=accuracy(0.8),
        picks=(pick(0, 0.5, 0.6), pick(1, 0.5, 0.7)),
        control=None,
        query_cost=NetworkCost(macs=2_000, parameters=10, latency=latency(0.5)),
        gallery_cost=NetworkCost(macs=60_000, parameters=90, latency=latency(4.0)),
    )


def test_the_kept_share_is_the_mean_of_the_seeds_over_the_paragon(found):
    assert found.kept_share == pytest.approx(0.65 / 0.8)


def test_a_paragon_that_finds_nothing_leaves_no_share_to_keep(found):
    assert replace(found, paragon=accuracy(0.0)).kept_share is None


def test_one_seed_that_breaks_the_rule_breaks_it_for_all(found):
    assert found.is_compatible
    assert not replace(found, picks=(*found.picks, pick(2, 0.6, 0.6))).is_compatible


def test_ratios_say_how_much_less_the_query_network_takes(found):
    assert found.macs_ratio == 30
    assert found.latency_ratio == 8


def test_ratios_are_unknown_without_the_other_side(found):
    alone = replace(found, gallery_cost=None)
    counted = replace(found, query_cost=replace(found.query_cost, latency=None))

    assert (alone.macs_ratio, alone.latency_ratio) == (None, None)
    assert (counted.macs_ratio, counted.latency_ratio) == (30, None)


def test_the_document_holds_what_follows_and_a_cost_that_reads_back(found):
    document = json.loads(json.dumps(found.to_json()))

    assert document["is_compatible"] is True
    assert document["macs_ratio"] == 30
    assert Cost.from_json(document["query_cost"]["latency"]) == found.query_cost.latency
