"""What an evaluation concludes, on numbers that anybody can check by hand."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from known_set import (
    DIM,
    FOUND,
    NUM_CLASSES,
    NUM_GALLERY,
    NUM_LONE_CLASSES,
    NUM_LONE_QUERIES,
    NUM_QUERIES,
    RedNetwork,
    make_known_set,
    mean_average_precision,
    top1,
    top10,
)

from cmpc_cost_models import Cost, Measurement
from cmpc_cost_models.records import Unknown
from cmpc_search.errors import BadRun
from cmpc_search.gallery import Gallery
from cmpc_search.runs import RunFolder
from cmpc_search.runs.evaluation import NetworkCost, OtherData, SeenClasses, read_evaluation
from cmpc_search.stages import costs, evaluating
from cmpc_search.stages import scored_queries as scored_queries_module
from cmpc_search.stages.evaluating import EvaluationOrder, amortised_macs, evaluate_run
from cmpc_search.stages.scored_queries import scored_names
from cmpc_search.stages.seed_results import results_of_seeds
from cmpc_search.stages.seeds import Seed

RUN = RunFolder(Path("run"))
LATENCY = Cost(name="latency", value=1.0, unit="ms", source="measured")
SIZES = {"query.onnx": (2_000, 10, 0.5), "network.onnx": (60_000, 90, 4.0)}


@pytest.mark.parametrize(
    ("ratio", "published"), [(0, 7597), (0.1, 6936), (1, 3963), (10, 990), (100, 401), (1000, 336)]
)
def test_amortised_macs_are_those_of_the_poster(ratio, published):
    assert round(amortised_macs(329, 7597, ratio)) == published


class KnownMeter:
    """Measures what SIZES says."""

    def measure(self, onnx_path):
        return Measurement(cost=replace(LATENCY, value=SIZES[onnx_path.name][2]))


class DullNetwork(RedNetwork):
    """Tells six red values apart, and embeds all pictures of others alike."""

    def forward(self, images):
        is_red_known = images[:, :1, :1, :1] * 255 < 5.5
        return super().forward(images.where(is_red_known, 1.0 * (DIM - 1) / 255))


def trained(network, material, seed=0):
    return SimpleNamespace(
        load=lambda _: network(),
        seed=seed,
        seed_of_parts=Seed(number=seed),
        gallery_network_sha256=material.gallery.network_sha256,
        folder=Path("seed-0"),
        onnx_path=Path("query.onnx"),
    )


@pytest.fixture
def known_material(material):
    image_set, gallery_rows = make_known_set()
    return replace(material, image_set=image_set, gallery_rows=gallery_rows)


@pytest.fixture
def judged(known_material, tmp_path, monkeypatch):
    """Evaluate the network of the known set, and one that sees little as the control."""
    monkeypatch.setattr(
        costs,
        "count_network",
        lambda path: SimpleNamespace(macs=SIZES[path.name][0], parameters=SIZES[path.name][1]),
    )

    run = RunFolder(tmp_path)

    def judge(meter=None, material=known_material, **order):
        pick, control = trained(RedNetwork, material), trained(DullNetwork, material)
        monkeypatch.setattr(evaluating, "picked_architecture", lambda _: material.space.smallest())
        monkeypatch.setattr(evaluating, "trained_picks", lambda *_, **__: [pick])
        monkeypatch.setattr(evaluating, "control_of", lambda *_: control)
        ordered = EvaluationOrder(run_folder=run.path, cache_dir=material.cache_dir, **order)
        return evaluate_run(run, material, ordered, meter)

    return judge


def test_every_accuracy_is_of_the_test_split_and_of_the_side_that_it_names(judged):
    found = judged().judgement.seeds[0]

    for pair, count in (
        (found.homogeneous, FOUND["test"].own),
        (found.heterogeneous, FOUND["test"].across),
        (found.paragon, FOUND["test"].paragon),
    ):
        assert pair.top1.value == pytest.approx(top1(count))
        assert pair.top10.value == pytest.approx(top10(count))
        assert pair.mean_average_precision.value == pytest.approx(mean_average_precision(count))


def test_what_follows_from_the_accuracies_sets_each_against_the_right_one(judged):
    judgement = judged().judgement

    assert judgement.kept_share.value == pytest.approx(8 / 9)
    assert judgement.advantage.value == pytest.approx(1 / 12)


def test_the_control_is_held_against_the_gallery_network_and_is_not_the_pick(judged):
    # Six classes have the value that the gallery network sees there, in no other split as many. In
    # its own embeddings it would find a seventh: the first of the pictures that are alike to it.
    assert judged().chance_check.top1.value == pytest.approx(6 / 12)


def test_the_library_of_the_pick_that_was_timed_is_kept_in_the_run(judged, tmp_path, monkeypatch):
    kept = {}

    def cost(onnx_path, meter, kept_in=None):
        kept[onnx_path.name] = kept_in
        return NetworkCost(macs=1, parameters=1, latency=None)

    monkeypatch.setattr(evaluating, "network_cost", cost)

    judged()

    assert kept == {"query.onnx": RunFolder(tmp_path).compiled_path, "network.onnx": None}


def test_only_queries_with_something_to_find_are_scored_and_the_others_are_counted(judged):
    queries = judged().queries

    sizes = (queries.num_queries, queries.num_classes, queries.num_gallery)
    assert sizes == (NUM_QUERIES, NUM_CLASSES, NUM_GALLERY)
    assert (queries.num_excluded, queries.num_excluded_classes) == (
        NUM_LONE_QUERIES,
        NUM_LONE_CLASSES,
    )
    assert queries.chance_top1 == pytest.approx(1 / NUM_GALLERY)


@pytest.mark.parametrize("groups", [None, "xxyxyxyxyy"])
def test_chance_is_what_a_random_ranking_finds(known_material, groups):
    rng = np.random.default_rng(0)
    labels = np.array([0, 0, 1, 2, 0, 1, 1, 1, 2, 2])
    queries, gallery = np.arange(4), np.arange(4, 10)
    image_set = replace(
        known_material.image_set.subset(np.arange(10)),
        labels=labels,
        groups=groups and tuple(groups),
    )
    found = []
    for query in queries:
        counts = [
            item
            for item in gallery
            if groups is None or (labels[item], groups[item]) != (labels[query], groups[query])
        ]
        found.append((labels[rng.choice(counts, 20_000)] == labels[query]).mean())

    assert scored_queries_module._chance(image_set, queries, gallery) == pytest.approx(
        np.mean(found), abs=0.01
    )


def test_items_of_a_querys_class_and_group_are_no_answers_in_an_evaluation(judged, known_material):
    image_set = known_material.image_set
    alone = replace(image_set, groups=("studio",) * len(image_set))
    apart = replace(image_set, groups=tuple(f"camera {one}" for one in range(len(image_set))))

    with pytest.raises(ValueError, match="at least one query must"):
        judged(material=replace(known_material, image_set=alone))
    assert judged(material=replace(known_material, image_set=apart)).judgement == judged().judgement


def test_ratios_say_how_much_less_the_query_network_takes(judged):
    measured, counted = judged(KnownMeter(), queries_per_gallery_image=9.0), judged()

    assert (measured.query_cost.macs, measured.gallery_cost.macs) == (2_000, 60_000)
    assert (measured.query_cost.parameters, measured.gallery_cost.parameters) == (10, 90)
    assert (measured.macs_ratio, measured.parameters_ratio, measured.latency_ratio) == (30, 9, 8)
    assert (counted.macs_ratio, counted.latency_ratio) == (30, None)
    assert measured.amortised.macs == pytest.approx((60_000 + 9 * 2_000) / 10)


@pytest.mark.parametrize(
    ("measurement", "told"),
    [
        (
            {"cost": LATENCY, "unstable_reasons": ("a busy machine",)},
            {"unstable_reasons": ("a busy machine",)},
        ),
        ({"unknown": Unknown(("no model",))}, {"unknown_reasons": ("no model",)}),
        ({"error": "it crashed"}, {"error": "it crashed"}),
    ],
)
def test_a_cost_says_why_its_latency_may_not_be_trusted_or_is_not_there(judged, measurement, told):
    nothing = {"unstable_reasons": (), "unknown_reasons": (), "error": None}
    meter = SimpleNamespace(measure=lambda _: Measurement(**measurement))

    found = judged(meter)

    for cost in (found.query_cost, found.gallery_cost):
        assert {name: getattr(cost, name) for name in nothing} == nothing | told


def test_ratios_are_unknown_without_a_gallery_network(judged, known_material):
    record = known_material.gallery.record.model_copy(update={"network": None})
    ready = replace(known_material, gallery=Gallery(known_material.gallery.path, record))

    found = judged(material=ready)

    assert (found.macs_ratio, found.parameters_ratio, found.latency_ratio) == (None,) * 3
    assert found.amortised is None
    assert "amortised" not in found.to_json()


def test_the_document_holds_what_follows_and_a_cost_that_reads_back(judged):
    found = judged(KnownMeter())

    document = json.loads(json.dumps(found.to_json()))

    assert document["is_compatible"] == found.judgement.rule
    assert document["mean"]["heterogeneous"]["top1"]["value"] == pytest.approx(8 / 12)
    assert document["kept_share"]["value"] == pytest.approx(8 / 9)
    assert document["chance_top1"] == pytest.approx(1 / NUM_GALLERY)
    assert (document["macs_ratio"], document["latency_ratio"]) == (30, 8)
    assert [document[f"{side}_cost"]["macs"] for side in ("query", "gallery")] == [2_000, 60_000]
    assert document["flips"] == [{"seed": 0, "negative": 2, "positive": 0}]
    assert Cost.from_json(document["query_cost"]["latency"]) == found.query_cost.latency


def test_another_protocol_adds_its_numbers_and_leaves_the_accuracies_as_they_are(judged):
    found = judged(protocol="verification")

    assert found.judgement == judged().judgement
    [metrics] = found.metrics
    # Equal pictures alone have a cosine above that of most pairs, and they are the right ones.
    assert metrics.heterogeneous["tar_at_far_1e-4"] == pytest.approx(8 / 12)
    assert metrics.paragon["tar_at_far_1e-4"] == pytest.approx(9 / 12)


@pytest.mark.parametrize("seen", SeenClasses)
def test_an_evaluation_says_what_was_known_of_its_test_classes(judged, known_material, seen):
    found = judged(material=replace(known_material, seen_classes=seen))

    assert found.to_json()["test_classes"] == seen.value


def test_scored_queries_are_kept_by_the_names_of_their_items(known_material):
    (found,) = results_of_seeds(RUN, known_material, [trained(RedNetwork, known_material)])

    names = scored_names(known_material.image_set, found.paragon.ranks)

    image_set = known_material.image_set
    classes = [image_set.labels[image_set.item_names.index(name)] for name in names]
    assert [image_set.class_names[label] for label in classes] == [
        f"test {number // 2}" for number in range(NUM_QUERIES)
    ]


def test_a_pick_is_not_judged_beside_a_gallery_network_that_it_was_not_trained_to_fit(
    known_material,
):
    pick = trained(RedNetwork, known_material)
    pick.gallery_network_sha256 = "another"

    with pytest.raises(BadRun, match="trained to fit"):
        results_of_seeds(RUN, known_material, [pick])


def test_what_is_found_on_other_data_leaves_the_evaluation_of_the_run_as_it_is(
    judged, known_material, tmp_path
):
    own = judged()
    other = OtherData(name="other", sha256="0123456789abcdef", num_classes=15, seen_class_names=())

    found = judged(material=replace(known_material, other_data=other))

    run, there = RunFolder(tmp_path), RunFolder(tmp_path / "other-data" / "other-0123456789ab")
    assert read_evaluation(run) == own
    assert read_evaluation(there) == found == replace(own, other_data=other)
    assert there.outcomes_path.is_file()
