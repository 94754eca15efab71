"""A candidate's score: what was found out, whether its network compiles or not."""

from types import SimpleNamespace

import pytest
import torch
from known_set import FOUND, RedNetwork, as_known, top1

from cmpc_cost_models import Cost, Measurement
from cmpc_cost_models.records import Unknown
from cmpc_search.networks.shared import Supernet
from cmpc_search.stages import costs, scoring
from cmpc_search.stages.judging import ValidationJudge
from cmpc_search.stages.material import load_material
from cmpc_search.stages.scoring import CandidateScorer
from cmpc_search.study.records import Accuracy
from cmpc_search.study.rewards.base import RewardFacts
from cmpc_search.training import recalibration


class FakeMeter:
    """Gives the same measurement for every network, and remembers which it was asked for."""

    def __init__(self, measurement):
        self.measurement = measurement
        self.measured = []

    def measure(self, onnx_path):
        self.measured.append(onnx_path)
        return self.measurement


@pytest.fixture
def score_with(settings, gallery_path, cache_dir, tmp_path):
    """Return a function that scores the smallest architecture under some settings."""

    def score(meter=None, **changes):
        changed = settings.model_copy(update=changes)
        material = load_material(changed, gallery_path, cache_dir=cache_dir)
        torch.manual_seed(0)
        supernet = Supernet(material.space).eval()
        scorer = CandidateScorer(supernet, material, meter, folder=tmp_path)
        return scorer(material.space.smallest())

    return score


def test_a_measured_candidate_carries_its_latency_and_its_doubts(score_with):
    cost = Cost(name="latency", value=0.25, unit="ms", source="measured", versions={})
    meter = FakeMeter(Measurement(cost=cost, unstable_reasons=("a busy machine",)))

    score = score_with(meter)

    assert score.latency_ms == 0.25
    assert score.unstable_reasons == ("a busy machine",)
    assert score.error is None
    assert [path.name for path in meter.measured] == [f"{score.architecture}.onnx"]


def test_a_candidate_whose_latency_nobody_knows_says_why(score_with):
    score = score_with(FakeMeter(Measurement(unknown=Unknown(("Softsign has no model",)))))

    assert (score.latency, score.error) == (None, None)
    assert score.unknown_reasons == ("Softsign has no model",)
    assert not score.is_comparable


def test_a_network_that_does_not_compile_is_a_score_with_an_error(score_with):
    score = score_with(FakeMeter(Measurement(error="no code for this operator")))

    assert score.error == "no code for this operator"
    assert score.latency is None
    assert score.heterogeneous is not None  # what was found out before stays


def test_without_a_meter_the_cost_is_counted_and_nothing_else(score_with, material):
    score = score_with()

    assert score.latency is None
    assert score.error is None
    assert score.macs == material.space.macs(material.space.smallest())


@pytest.mark.parametrize("limit", [7, 10, 17, 18, 1000])
def test_batch_norms_are_rebuilt_on_no_more_images_than_the_limit(
    score_with, material, monkeypatch, limit
):
    seen = []
    monkeypatch.setattr(recalibration, "MAX_IMAGES", limit)
    monkeypatch.setattr(scoring, "rebuild_batch_norms", lambda _, images: seen.append(len(images)))

    score_with()

    num_training = len(material.image_set.select(split="train"))
    assert min(limit, num_training) / 2 <= seen[0] <= limit


@pytest.mark.parametrize(
    ("reward", "metric", "expected"),
    [
        ("homogeneous", "top1", 0.5),
        ("heterogeneous", "top1", 0.75),
        ("product", "top1", 0.375),
        ("homogeneous", "map", 0.25),
        ("heterogeneous", "map", 0.125),
        ("product", "map", 0.03125),
        ("cosine", "map", 0.875),
    ],
)
def test_the_reward_is_the_one_that_was_asked_for(
    score_with, monkeypatch, reward, metric, expected
):
    own = Accuracy(top1=0.5, top10=1.0, mean_average_precision=0.25)
    across = Accuracy(top1=0.75, top10=1.0, mean_average_precision=0.125)
    facts = RewardFacts(homogeneous=own, heterogeneous=across, cosine=0.875, metric=metric)
    monkeypatch.setattr(ValidationJudge, "facts", lambda *_: facts)

    score = score_with(reward=reward, metric=metric)

    assert score.reward == expected
    assert score.reward_name == ("cosine" if reward == "cosine" else f"{reward} {metric}")
    assert (score.homogeneous, score.heterogeneous, score.cosine) == (own, across, 0.875)


def test_candidates_are_scored_on_the_validation_classes_and_no_others(
    material, monkeypatch, tmp_path
):
    known = as_known(material)
    for part in ("rebuild_batch_norms", "export_network"):
        monkeypatch.setattr(scoring, part, lambda *_: None)
    counted = SimpleNamespace(macs=300, parameters=20)
    monkeypatch.setattr(costs, "count_network", lambda _: counted)
    supernet = SimpleNamespace(extract=lambda _: RedNetwork())

    score = CandidateScorer(supernet, known, None, folder=tmp_path)(material.space.smallest())

    validation, train = FOUND["validation"], FOUND["train"]  # whose pictures distract
    assert score.homogeneous.top1 == pytest.approx(top1(validation.own - train.own))
    assert score.heterogeneous.top1 == pytest.approx(top1(validation.across - train.across))
    assert (score.macs, score.parameters) == (300, 20)


def test_what_is_judged_and_what_is_exported_has_batch_norms_of_training_images(
    material, monkeypatch, tmp_path
):
    known = as_known(material)
    steps, shown = [], []
    judge = ValidationJudge.facts

    def rebuild(network, images):
        steps.append((network, "rebuilt"))
        shown.extend((images[:, 0, 0, 0] * 255).round().int().tolist())

    def rank(self, network):
        steps.append((network, "judged"))
        return judge(self, network)

    monkeypatch.setattr(scoring, "rebuild_batch_norms", rebuild)
    monkeypatch.setattr(scoring, "export_network", lambda one, _: steps.append((one, "exported")))
    monkeypatch.setattr(ValidationJudge, "facts", rank)
    monkeypatch.setattr(costs, "count_network", lambda _: SimpleNamespace(macs=1, parameters=1))
    supernet = SimpleNamespace(extract=lambda _: RedNetwork())

    CandidateScorer(supernet, known, None, folder=tmp_path)(material.space.smallest())

    assert [step for _, step in steps] == ["rebuilt", "exported", "judged"]
    assert len({id(network) for network, _ in steps}) == 1
    assert shown == known.image_set.images[known.image_set.select(split="train"), 0, 0, 0].tolist()


@pytest.mark.parametrize("limit_bytes", [1, 5 * 32 * 32 * 3 * 4])
def test_batch_norms_are_rebuilt_in_bounded_memory(material, monkeypatch, limit_bytes):
    monkeypatch.setattr(recalibration, "MAX_BYTES", limit_bytes)

    images = recalibration.clean_images(material.images_at(32))

    assert 2 <= len(images) <= max(2, limit_bytes // (32 * 32 * 3 * 4))
