"""Which network a bundle is made of."""

import pytest

from cmpc_search.errors import BadArgument, BadRun
from cmpc_search.runs import write_json, write_pick
from cmpc_search.stages.bundling import BundleOrder, build_bundle
from cmpc_search.stages.picks import trained_picks
from cmpc_search.study import Budget, Candidate, CandidateScore


@pytest.fixture
def picked(run, inputs):
    """The architecture that the run picked."""
    architecture = inputs.space.smallest()
    score = CandidateScore(architecture=architecture.key, reward_name="product map", reward=0.5)
    candidate = Candidate(number=0, score=score)
    write_pick(run, candidate, how="best", cost="macs", budget=Budget())
    return architecture


def leave_trained(run, architecture, seed, num_steps=100):
    folder = run.path / "pick" / f"seed-{seed}"
    folder.mkdir(parents=True)
    facts = {"architecture": architecture.key, "seed": seed, "training": {"num_steps": num_steps}}
    write_json(folder / "facts.json", facts)


def test_a_seed_that_was_not_trained_is_refused_with_those_that_were(run, picked, tmp_path):
    for seed in (0, 2):
        leave_trained(run, picked, seed)

    with pytest.raises(BadArgument, match=r"one that was trained \(0, 2\), got 1"):
        build_bundle(run, BundleOrder(folder=tmp_path / "bundle", cache_dir=tmp_path, seed=1))


def test_networks_of_an_earlier_pick_are_not_the_pick(run, inputs, picked):
    leave_trained(run, inputs.space.uniform(3, max(inputs.space.width_choices)), 0)

    with pytest.raises(BadRun, match="cmpc train"):
        trained_picks(run, picked)


def test_seeds_come_in_the_order_of_their_numbers(run, picked):
    for seed in (10, 2, 0):
        leave_trained(run, picked, seed)

    assert [pick.seed for pick in trained_picks(run, picked)] == [0, 2, 10]


def test_seeds_of_an_older_training_are_not_mixed_with_those_of_the_newest(run, picked):
    leave_trained(run, picked, seed=1, num_steps=50)
    leave_trained(run, picked, seed=0, num_steps=100)

    assert [pick.seed for pick in trained_picks(run, picked)] == [0]
