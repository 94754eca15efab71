"""What a reader of a table or a verdict is told, word by word where a swap would mislead."""

from dataclasses import replace

import pytest

from cmpc.reports.accuracies import TEST_CLASSES, accuracy_table, protocol_table, verdict
from cmpc.reports.costs import cost_table
from cmpc_cost_models import Cost
from cmpc_search.evaluation.judgement import Flips, Judgement, PairAccuracy, SeedAccuracy
from cmpc_search.evaluation.statistics import Estimate
from cmpc_search.runs.evaluation import (
    Amortised,
    Evaluation,
    NetworkCost,
    OtherData,
    ScoredQueries,
    SeedMetrics,
    SeenClasses,
)


def estimate(value):
    return Estimate(value=value, low=value - 0.01, high=value + 0.02)


def pair(value):
    """Top-1, top-10 and mAP that differ from each other."""
    return PairAccuracy(
        top1=estimate(value),
        top10=estimate(value + 0.003),
        mean_average_precision=estimate(value + 0.006),
    )


def seed_accuracy(seed, own, across, paragon=0.5):
    return SeedAccuracy(
        seed=seed, paragon=pair(paragon), homogeneous=pair(own), heterogeneous=pair(across)
    )


QUERIES = ScoredQueries(
    num_classes=8,
    num_queries=16,
    num_gallery=9,
    num_excluded_classes=7,
    num_excluded=14,
    chance_top1=0.125,
)


@pytest.fixture
def found():
    judgement = Judgement(
        seeds=(seed_accuracy(0, 0.1, 0.2),),
        mean=seed_accuracy(None, 0.1, 0.2),
        num_queries=600,
        advantage=Estimate(value=0.1, low=0.05, high=0.15),
        kept_share=Estimate(value=0.4, low=0.3, high=0.45),
    )
    cost = NetworkCost(macs=1, parameters=1, latency=None)
    return Evaluation(
        run="runs/emoji",
        architecture="k3-1.0",
        seen_classes=SeenClasses.UNSEEN,
        queries=QUERIES,
        judgement=judgement,
        chance_check=pair(0.12),
        query_cost=cost,
        gallery_cost=None,
    )


def with_seeds(found, *seeds):
    mean = seed_accuracy(None, 0.15, 0.25)
    return replace(found, judgement=replace(found.judgement, seeds=seeds, mean=mean))


def rows_of(table):
    columns = [list(column.cells) for column in table.columns]
    return {str(name): [str(cell) for cell in cells] for name, *cells in zip(*columns, strict=True)}


def test_each_accuracy_stands_in_the_row_of_its_pair_with_its_interval(found):
    rows = rows_of(accuracy_table(found))

    assert list(rows) == ["paragon M(g,g)", "query network M(q,q)", "query network M(q,g)"]
    assert rows["query network M(q,g)"] == [
        "0.200 [0.190, 0.220]",
        "0.203 [0.193, 0.223]",
        "0.206 [0.196, 0.226]",
    ]
    assert rows["query network M(q,q)"][0].startswith("0.100 ")
    assert rows["paragon M(g,g)"][0].startswith("0.500 ")


def test_each_metric_of_an_accuracy_stands_under_its_name(found):
    table = accuracy_table(found)

    columns = {str(column.header): str(next(iter(column.cells))) for column in table.columns}
    assert columns == {
        "on test classes": "paragon M(g,g)",
        "top-1": "0.500 [0.490, 0.520]",
        "top-10": "0.503 [0.493, 0.523]",
        "mAP": "0.506 [0.496, 0.526]",
    }


def test_a_title_counts_what_was_scored_and_names_what_was_not(found):
    title = str(accuracy_table(found).title)

    assert title.startswith("16 queries of 8 classes (unseen classes)")
    assert "14 other queries, of 7 classes without a gallery image" in title


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (SeenClasses.UNSEEN, "(unseen classes)"),
        (SeenClasses.CLOSED_SET, "(closed set: classes also in training)"),
        (SeenClasses.SEEN_BY_GALLERY, "so it saw them)"),
        (SeenClasses.UNKNOWN, "what the gallery network (your own) saw is not known)"),
    ],
)
def test_a_title_says_unseen_only_of_classes_that_are(found, seen, said):
    title = str(accuracy_table(replace(found, seen_classes=seen)).title)

    assert said in title
    assert ("unseen" in title) is (seen is SeenClasses.UNSEEN)


def test_there_are_words_for_whatever_may_be_known_of_test_classes():
    assert set(TEST_CLASSES) == {seen.value for seen in SeenClasses}


def test_several_seeds_have_a_row_each_and_their_mean(found):
    rows = rows_of(accuracy_table(with_seeds(found, *(seed_accuracy(n, 0.1, 0.2) for n in (0, 2)))))

    assert [name for name in rows if "M(q,g)" in name] == [
        "query network, seed 0, M(q,g)",
        "query network, seed 2, M(q,g)",
        "query network, mean, M(q,g)",
    ]
    assert rows["query network, mean, M(q,g)"][0].startswith("0.250 ")
    assert [name for name in rows if "paragon" in name] == ["paragon M(g,g)"]


def test_seeds_with_galleries_of_their_own_have_paragons_of_their_own(found):
    seeds = (seed_accuracy(0, 0.1, 0.2, paragon=0.5), seed_accuracy(1, 0.1, 0.2, paragon=0.6))

    rows = rows_of(accuracy_table(with_seeds(found, *seeds)))

    assert rows["paragon, seed 1, M(g,g)"][0].startswith("0.600 ")
    assert "paragon, mean, M(g,g)" in rows


def test_a_verdict_says_what_is_kept_whether_the_rule_holds_and_that_the_control_is_no_baseline(
    found,
):
    kept, rule, check = verdict(found)

    assert "keeps 40.0% [30.0%, 45.0%] of the paragon's top-1" in kept
    assert "M(q,g) > M(q,q) in top-1 holds: the difference is +10.0 [+5.0, +15.0] points" in rule
    assert "600 queries" in kept
    assert "600 queries" in rule
    assert "no baseline" in check
    assert "finds 12.0% [11.0%, 14.0%] across networks; chance is 12.5%" in check


def test_a_rule_that_can_not_be_told_is_not_said_to_hold(found):
    open_ = replace(found.judgement, advantage=Estimate(value=0.01, low=-0.02, high=0.04))

    _, rule, _ = verdict(replace(found, judgement=open_))

    assert "can't be told: the difference is +1.0 [-2.0, +4.0] points" in rule


def test_a_verdict_says_when_the_queries_are_too_few_to_tell(found):
    few = replace(found.judgement, num_queries=19)

    _, rule, _ = verdict(replace(found, judgement=few))

    assert "can't be told from fewer than 20 queries" in rule


def test_each_cost_stands_in_the_row_of_its_network_and_in_its_column(found):
    latency = Cost(
        name="latency", value=0.5, unit="ms", source="measured", target="host", artefact_sha256="0"
    )
    query = NetworkCost(macs=2_000_000, parameters=10, latency=latency)
    gallery = NetworkCost(macs=60_000_000, parameters=90, latency=replace(latency, value=4.0))
    amortised = Amortised(queries_per_gallery_image=9.0, macs=7_800_000)
    costly = replace(found, query_cost=query, gallery_cost=gallery, amortised=amortised)

    table = cost_table(costly)

    assert [str(column.header) for column in table.columns] == [
        "one image",
        "MMAC counted",
        "parameters",
        "latency ms",
        "source",
    ]
    assert rows_of(table) == {
        "query network": ["2", "10", "0.5", "measured"],
        "gallery network": ["60", "90", "4", "measured"],
        "ratio": ["30", "9", "8", "-"],
        "amortised at 9 queries a gallery image": ["7.8", "-", "-", "-"],
    }


def test_what_a_protocol_found_stands_in_a_table_of_its_own_and_is_no_second_accuracy(found):
    metrics = SeedMetrics(
        seed=0, paragon={"tar": 0.9}, homogeneous={"tar": 0.5}, heterogeneous={"tar": 0.75}
    )
    verified = replace(found, protocol="verification", metrics=(metrics,))

    assert protocol_table(replace(verified, protocol="open-set")) is None
    assert rows_of(protocol_table(verified)) == {
        "paragon, seed 0": ["0.900"],
        "homogeneous, seed 0": ["0.500"],
        "heterogeneous, seed 0": ["0.750"],
    }


def test_flips_are_told_both_ways(found):
    judgement = replace(found.judgement, flips=(Flips(seed=0, negative=31, positive=12),))

    assert verdict(replace(found, judgement=judgement))[-1] == (
        "Seed 0 misses 31 queries that the gallery network alone answers (negative flips), and "
        "answers 12 that it misses."
    )


def test_what_was_found_on_other_data_says_which_of_their_classes_trained_the_networks(found):
    other = OtherData(name="birds", sha256="0", num_classes=9, seen_class_names=("crow", "kite"))

    elsewhere = replace(found, other_data=other)

    assert str(accuracy_table(elsewhere).columns[0].header) == "on test classes of birds"
    assert verdict(elsewhere)[0].endswith(
        "of its 9 test classes 2 are known to have trained the networks: crow, kite."
    )
