"""A pick is held against networks that are trained alike, once, whatever happens on the way."""

import random
from dataclasses import replace

import pytest
import torch

from cmpc_base.json_files import read_json
from cmpc_search.errors import BadRun
from cmpc_search.networks.shared import Supernet
from cmpc_search.runs import open_run, write_pick
from cmpc_search.stages.baselines import hand_made
from cmpc_search.stages.evaluating import EvaluationOrder, run_evaluation
from cmpc_search.stages.evidence import EvidenceOrder, run_evidence
from cmpc_search.stages.pick_training import QueryPlan
from cmpc_search.stages.run_material import place_facts, space_facts
from cmpc_search.stages.settings import TrainSettings
from cmpc_search.stages.supernet import WEIGHTS_FILE
from cmpc_search.stages.training import TrainOrder, run_training
from cmpc_search.study.records import Candidate, CandidateScore
from cmpc_search.study.settings import Budget
from cmpc_search.training.checkpoint import write_weights
from cmpc_search.training.settings import SupernetTraining

FEW = ("mobilenet-v2", "from-scratch", "independent")


@pytest.fixture
def settings(settings):
    """Those of a search whose supernets are hardly trained: other seeds have their own."""
    short = SupernetTraining(num_steps=2, batch_size=4)
    return settings.model_copy(update={"supernet": short})


@pytest.fixture
def run(tmp_path, settings, material, gallery_path):
    """A run whose supernet nobody trained, and of which some network was picked."""
    run = open_run(
        tmp_path / "run",
        settings=settings.model_dump(mode="json"),
        inputs=material.hashes() | place_facts(gallery_path) | space_facts(settings),
    )
    torch.manual_seed(0)
    write_weights(run.supernet_path / WEIGHTS_FILE, Supernet(material.space))
    architecture = material.space.sample(random.Random(0))
    score = CandidateScore(architecture=architecture.key, reward_name="product map")
    picked = Candidate(number=0, score=score)
    write_pick(run, picked, how="best", cost="macs", budget=Budget())
    return run


@pytest.fixture
def order(run, cache_dir):
    """An order for a few baselines of a pick that is trained."""
    short = TrainSettings(pick={"num_steps": 2, "batch_size": 4}, control_steps=0)
    run_training(TrainOrder(run_folder=run.path, settings=short, cache_dir=cache_dir))
    return EvidenceOrder(run_folder=run.path, cache_dir=cache_dir, rows=FEW)


@pytest.fixture
def trained(monkeypatch):
    """Return the folders of what is trained from now on."""
    folders, train = [], QueryPlan.train

    def note(plan, *given):
        folders.append(plan.pick.folder)
        return train(plan, *given)

    monkeypatch.setattr(QueryPlan, "train", note)
    return folders


def names(found):
    return [one.name for one in found.rows]


def test_the_pick_stands_first_with_what_an_evaluation_says_of_it(order, run, trained, cache_dir):
    found = run_evidence(replace(order, rows=("random", *FEW), num_random=2))

    judged = run_evaluation(EvaluationOrder(run_folder=run.path, cache_dir=cache_dir))
    mean = judged.judgement.mean
    assert (found.pick.own, found.pick.across) == (mean.homogeneous, mean.heterogeneous)
    assert found.paragon.own == mean.paragon
    assert (found.pick.macs, found.paragon.macs) == (
        judged.query_cost.macs,
        judged.gallery_cost.macs,
    )
    assert found.queries == judged.queries
    assert names(found)[2:] == [
        "random 1",
        "random 2",
        "MobileNetV2",
        "from-scratch",
        "independent",
    ]
    assert all(one.macs <= found.pick.macs for one in found.rows[2:])
    starts = {one.row: one.start for one in found.rows}
    assert (starts["random"], starts["mobilenet-v2"]) == ("supernet", "random weights")
    assert len(trained) == 5
    assert read_json(run.evidence_path) == found.to_json()


def test_a_killed_run_goes_on_with_the_network_that_was_at_work(order, monkeypatch, trained):
    keep, kept = QueryPlan._keep, []

    def die(plan, network):
        if kept:
            raise KeyboardInterrupt
        kept.append(plan.pick.folder)
        keep(plan, network)

    monkeypatch.setattr(QueryPlan, "_keep", die)
    with pytest.raises(KeyboardInterrupt):
        run_evidence(order)
    monkeypatch.setattr(QueryPlan, "_keep", keep)
    before = len(trained)

    found = run_evidence(order)

    assert trained[before:] == [trained[1], *trained[before + 1 :]]  # the one at work first
    assert not set(trained[before:]) & set(kept)
    assert names(found)[2:] == ["MobileNetV2", "from-scratch", "independent"]
    assert run_evidence(order) == found
    assert len(trained) == before + 2


def test_a_network_that_can_not_be_trained_is_told_and_the_others_go_on(order, monkeypatch):
    def too_wide(published, macs):
        raise BadRun("even the narrowest costs more")

    monkeypatch.setattr(hand_made.HandMade, "scaled_to", too_wide)

    found = run_evidence(order)

    failed = found.rows[-1]
    assert (failed.name, failed.error) == ("MobileNetV2", "even the narrowest costs more")
    assert failed.lead is None
    told = [one.name for one in found.rows if one.lead is not None]
    assert told == ["paragon M(g,g)", "from-scratch", "independent"]


def test_without_its_pick_there_is_no_evidence(order, monkeypatch):
    def fail(plan, *given):
        raise BadRun("the loss must stay finite")

    monkeypatch.setattr(QueryPlan, "train", fail)

    with pytest.raises(BadRun, match="must stay finite"):
        run_evidence(replace(order, num_steps=3))


def test_another_number_of_steps_and_seeds_is_that_of_the_pick_too(order, run, trained):
    found = run_evidence(replace(order, rows=("from-scratch",), num_seeds=2, num_steps=1))

    assert (found.seeds, found.num_steps) == ((0, 1), 1)
    kinds = [(folder.parent.parent.name, folder.name) for folder in trained]
    assert kinds == [
        *(("pick", "seed-0"), ("from-scratch", "seed-0")),
        *(("pick", "seed-1"), ("from-scratch", "seed-1")),
    ]
    assert all(run.baselines_path in folder.parents for folder in trained)
    assert len(found.pick.flips) == len(found.rows[-1].flips) == 2


def test_the_order_of_the_search_is_held_against_trainings_of_their_own(order, run):
    found = run_evidence(replace(order, rows=(), num_ranked=3, num_steps=1))

    taus = read_json(run.path / "rank_correlation.json")["taus"]
    expected = next(one for one in taus if (one["score"], one["against"]) == ("mrr+cosine", "map"))
    assert found.reward_tau.value == expected["tau"]["value"]
    assert (found.num_ranked, found.reward) == (3, "mrr+cosine")
    assert names(found) == ["pick", "paragon M(g,g)"]
