"""What baselines have in common with the pick, and in what they differ from it."""

import random
from dataclasses import replace

import pytest

from cmpc_search.space.drawing import MacBins
from cmpc_search.stages.baselines.base import Contest
from cmpc_search.stages.baselines.catalogue import BASELINES
from cmpc_search.stages.baselines.in_space import the_pick
from cmpc_search.stages.seeds import Seed, parts_of
from cmpc_search.training.settings import PickTraining


@pytest.fixture
def contest(material):
    return Contest(
        material=material,
        architecture=material.space.sample(random.Random(0)),
        training=PickTraining(num_steps=2, batch_size=4),
        num_random=4,
    )


def made(contest, name):
    return BASELINES.load(name)(contest)


def test_random_architectures_are_others_as_dear_as_the_pick_may_be(contest):
    found = made(contest, "random")

    keys = {one.key for one in found}
    dearest = MacBins(contest.material.space, contest.macs).ranges[-1]
    assert len(keys) == 4
    assert contest.architecture.key not in keys
    macs = [one.network_plan(contest.material).macs for one in found]
    assert all(dearest.low <= one <= contest.macs for one in macs)


@pytest.mark.parametrize("name", ["mobilenet-v2", "shufflenet-v2"])
def test_networks_made_by_hand_cost_what_the_pick_costs(contest, name):
    (found,) = made(contest, name)

    plan, picked = (one.network_plan(contest.material) for one in (found, the_pick(contest)))
    assert 0.9 * picked.macs < plan.macs <= picked.macs
    assert plan.input_size_px == picked.input_size_px


@pytest.mark.parametrize("name", sorted(set(BASELINES) - {"random"}))  # which are drawn
def test_all_are_trained_as_the_pick_is(contest, run, name):
    parts = parts_of(run, contest.material, Seed(number=0))
    pick = the_pick(contest).query_plan(run, parts, contest.training)
    for one in made(contest, name):
        plan = one.query_plan(run, parts, contest.training)
        begun = {"from_supernet": one.start == "supernet"}
        assert plan.training == pick.training.model_copy(update=begun)
        assert plan.batch_seed == pick.batch_seed
        assert plan.facts.bank_seed == pick.facts.bank_seed
        assert one.row == name


def test_methods_begin_with_random_weights_and_keep_their_own_settings(contest, run):
    settings = {"bct": {"scale": 7.0}, "regression": {"weight": 3.0}}
    own = contest.material.settings.model_copy(update={"method_settings": settings})
    contest = replace(contest, material=replace(contest.material, settings=own))
    parts = parts_of(run, contest.material, Seed(number=0))

    tasks = {
        name: made(contest, name)[0].query_plan(run, parts, contest.training).new_task()
        for name in ("bct", "regression", "independent", "from-scratch")
    }

    parts_of_methods = {name: set(task.method.parts) for name, task in tasks.items()}
    assert parts_of_methods == {
        "bct": {"bct"},
        "regression": {"regression"},
        "independent": {"independent"},
        "from-scratch": {"bct", "regression"},
    }
    assert tasks["bct"].method.parts["bct"].settings.scale == 7


def test_a_baseline_that_would_be_the_pick_itself_is_left_out(contest):
    anew = contest.training.model_copy(update={"from_supernet": False})
    own = contest.material.settings.model_copy(update={"method": "bct"})
    contest = replace(contest, training=anew, material=replace(contest.material, settings=own))

    assert made(contest, "from-scratch") == made(contest, "bct") == ()
    assert [one.method for one in made(contest, "regression")] == ["regression"]
