"""What a reader is told of a pick among others: no claim without an interval above zero."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import ImageColor

from cmpc.pictures.canvas import AMBER, BLUE, GREEN
from cmpc.pictures.contest import STEP, side_by_side
from cmpc.reports.evidence import claims, evidence_image, evidence_report, evidence_table
from cmpc_search.evaluation.judgement import Flips, PairAccuracy
from cmpc_search.evaluation.statistics import Estimate
from cmpc_search.runs.evaluation import ScoredQueries, SeenClasses
from cmpc_search.runs.evidence import Evidence, EvidenceRow


def estimate(value, around=0.02):
    return Estimate(value=value, low=value - around, high=value + around)


def pair(top1):
    return PairAccuracy(
        top1=estimate(top1), top10=estimate(0.9), mean_average_precision=estimate(0.8)
    )


def row(name, *, row=None, own=0.3, across=0.35, lead=None, **more):
    return EvidenceRow(
        row=row or name,
        name=name,
        words=f"{name} in words",
        own=pair(own),
        across=pair(across),
        lead=lead,
        **{"architecture": "k3", "macs": 2_500_000, "start": "random weights"} | more,
    )


PICK = row("pick", own=0.31, across=0.36, rule="holds", start="supernet")
PARAGON = replace(
    row("paragon M(g,g)", row="paragon", own=0.42, worth="own", lead=estimate(-0.06), start=None),
    across=None,
)
RANDOM = tuple(
    row(f"random {number}", row="random", across=across, lead=estimate(lead), architecture="other")
    for number, across, lead in ((1, 0.32, 0.04), (2, 0.35, 0.01), (3, 0.30, 0.06))
)
MOBILE = row(
    "MobileNetV2",
    row="mobilenet-v2",
    across=0.28,
    lead=estimate(0.08),
    lead_alike=estimate(-0.05),
    architecture="mobilenet-v2-1",
)
ALONE = row("independent", own=0.25, across=0.01, worth="own", lead=estimate(0.11))
FAILED = EvidenceRow(row="bct", name="bct", words="bct in words", error="it has no labels")


@pytest.fixture
def found():
    return Evidence(
        run="runs/emoji",
        architecture="k3",
        seen_classes=SeenClasses.UNSEEN,
        queries=ScoredQueries(
            num_classes=8,
            num_queries=500,
            num_gallery=9,
            num_excluded_classes=0,
            num_excluded=0,
            chance_top1=0.125,
        ),
        num_steps=2200,
        seeds=(0, 1, 2),
        kept_share=estimate(0.857),
        advantage=estimate(0.05),
        rows=(PICK, PARAGON, *RANDOM, MOBILE, ALONE, FAILED),
        reward="product map",
    )


def test_each_claim_is_a_sentence_that_holds_only_with_its_whole_interval_above_zero(found):
    told = list(claims(found))

    assert told == [
        "The pick keeps 85.7% [83.7%, 87.7%] of the paragon's top-1.",
        "The pick's M(q,g) beats its M(q,q) by +5.0 [+3.0, +7.0] points.",
        "The pick is not shown to beat the best of 3 random architectures within its MACs: the "
        "difference is +1.0 [-1.0, +3.0] points over 500 queries.",
        "The pick beats MobileNetV2 in words by +8.0 [+6.0, +10.0] points.",
        "Begun with random weights as that was, the pick's architecture does not beat MobileNetV2 "
        "in words, and is behind it: -5.0 [-7.0, -3.0] points.",
        "The pick beats independent in words by +11.0 [+9.0, +13.0] points.",
        "bct is left out: it has no labels",
    ]


def test_few_queries_show_nothing(found):
    few = replace(found, queries=replace(found.queries, num_queries=19))

    assert not any(" beats " in sentence for sentence in claims(few))


def test_the_order_of_the_search_is_told_with_where_it_was_seen(found):
    *_, last = claims(replace(found, reward_tau=estimate(0.6, 0.3), num_ranked=16))

    assert "(product map) orders 16 architectures" in last
    assert "tau 0.60 [0.30, 0.90], on validation classes" in last


def test_the_table_has_each_accuracy_in_its_column(found):
    pick = replace(
        PICK, flips=(Flips(seed=0, negative=7, positive=3), Flips(seed=1, negative=4, positive=9))
    )
    table = evidence_table(replace(found, rows=(pick, *found.rows[1:])))

    cells = zip(*(list(column.cells) for column in table.columns), strict=True)
    rows = {str(name): [str(cell) for cell in rest] for name, *rest in cells}
    assert rows["pick"] == [
        *("supernet", "2.5", "0.360 [0.340, 0.380]", "0.310 [0.290, 0.330]"),
        *("-", "holds", "5.5"),
    ]
    assert rows["paragon M(g,g)"][2:5] == ["-", "0.420 [0.400, 0.440]", "-6.0 [-8.0, -4.0]"]
    assert rows["bct"][2] == "failed"
    assert "500 queries of 8 classes (unseen classes)" in table.title
    assert "2200 steps with 3 seeds" in table.title


def test_the_document_names_the_best_random_architecture_and_all_rows(found):
    document = evidence_report(found).document

    assert document["best_random"] == "random 2"
    assert [one["name"] for one in document["rows"]] == [one.name for one in found.rows]
    assert document["rows"][-1]["error"] == "it has no labels"


def test_the_picture_shows_who_is_who_by_colour(found):
    pixels = np.asarray(evidence_image(found))

    def count(colour):
        return int((pixels == ImageColor.getrgb(colour)).all(axis=2).sum())

    assert 0.5 < count(GREEN) / count(BLUE) < 2  # one made by hand, one independent: discs alike
    assert count(AMBER) > 0


def test_marks_that_would_lie_on_each_other_stand_side_by_side_and_others_stay():
    assert side_by_side([100, 300, 100]) == [100 - STEP / 2, 300, 100 + STEP / 2]
    assert side_by_side([100, 100 + STEP]) == [100, 100 + STEP]
    moved = side_by_side([100, 104, 100 + STEP])
    assert np.diff(moved).tolist() == [STEP, STEP]
