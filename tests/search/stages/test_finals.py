"""Before anything is called best, a handful is trained and the front is measured together."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from cmpc_base.progress import SILENT
from cmpc_cost_models import Cost, Measurement
from cmpc_search.networks.shared import Supernet
from cmpc_search.runs.finals import read_standing, trained_score
from cmpc_search.stages import finals
from cmpc_search.stages.finals import measure_front, train_finalists
from cmpc_search.stages.judging import ValidationJudge
from cmpc_search.stages.supernet import WEIGHTS_FILE
from cmpc_search.study.records import Candidate, CandidateScore
from cmpc_search.study.settings import NO_BUDGET
from cmpc_search.training.checkpoint import write_weights
from cmpc_search.training.settings import FinalistTraining


class InTurn:
    """Measures networks together: the n-th takes n ms."""

    def __init__(self):
        self.asked = []

    def measure_interleaved(self, paths):
        self.asked.append([path.stem for path in paths])
        costs = (
            Cost(name="latency", value=float(number), unit="ms", source="measured")
            for number in range(1, len(paths) + 1)
        )
        return [Measurement(cost=cost) for cost in costs]


def with_settings(material, **changes):
    return replace(material, settings=material.settings.model_copy(update=changes))


def candidates(material, source="measured"):
    """Three architectures: each costs more than the one before, and the last gives least."""
    architectures = list(material.space.covering())[:3]
    return [
        Candidate(
            number=number,
            score=CandidateScore(
                architecture=architecture.key,
                reward_name="r",
                reward=reward,
                macs=number + 1,
                latency={"value": 9.0 + number, "unit": "ms", "source": source},
            ),
        )
        for number, (architecture, reward) in enumerate(
            zip(architectures, (0.1, 0.2, 0.15), strict=True)
        )
    ]


def test_the_front_is_measured_together_once(run, material):
    meter = InTurn()
    material = with_settings(material, cost="latency")
    searched = candidates(material)

    for _ in range(2):
        measure_front(run, material, searched, lambda: nullcontext(meter), SILENT)

    found = read_standing(run, searched, cost="latency", budget=NO_BUDGET)
    assert meter.asked == [[one.score.architecture for one in searched[:2]]]
    assert [one.score.latency_ms for one in found.front] == [1.0, 2.0]
    assert [one.score.latency_ms for one in searched] == [9.0, 10.0, 11.0]


def test_predictions_stay_predictions(run, material):
    def refuse():
        raise AssertionError("nothing is measured")

    measure_front(run, material, candidates(material, "predicted"), refuse, SILENT)

    assert not run.front_costs_path.exists()


@pytest.fixture
def searched(run, material):
    """The material of a run with a supernet, whose two finalists take two steps each."""
    torch.manual_seed(0)
    write_weights(run.supernet_path / WEIGHTS_FILE, Supernet(material.space))
    training = FinalistTraining(num_steps=2, batch_size=4)
    return with_settings(material, finalists=2, finalist=training)


def test_finalists_are_trained_and_judged_on_the_validation_classes(run, searched):
    finalists = candidates(searched)
    train_finalists(run, searched, finalists, SILENT)

    first, second, third = (trained_score(run, one.score.architecture) for one in finalists)
    assert (first.num_steps, second.num_steps, third) == (2, 2, None)
    train_finalists(run, with_settings(searched, finalist=None), finalists, SILENT)  # none anew
    num_queries = len(searched.image_set.select(split="validation", role="query"))
    assert first.heterogeneous.num_queries == num_queries
    assert first.heterogeneous != second.heterogeneous


def test_a_killed_search_goes_on_with_the_finalist_that_was_at_work(run, searched, monkeypatch):
    finalists, judge, judged = candidates(searched), ValidationJudge.facts, []

    def dies_at_the_second(self, network):
        judged.append(network)
        if len(judged) == 2:
            raise KeyboardInterrupt
        return judge(self, network)

    monkeypatch.setattr(ValidationJudge, "facts", dies_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        train_finalists(run, searched, finalists, SILENT)
    monkeypatch.setattr(finals, "make_view_bank", None)  # the second is trained; it wants judging

    train_finalists(run, searched, finalists, SILENT)

    assert all(trained_score(run, one.score.architecture) for one in finalists[:2])
    assert len(judged) == 3
