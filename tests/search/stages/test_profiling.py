"""Which network of a run is profiled: its trained pick, unless a candidate is asked for."""

import pytest

from cmpc_base.json_files import write_json
from cmpc_search.errors import BadArgument
from cmpc_search.runs import open_run, write_pick
from cmpc_search.space.presets.catalogue import load_space
from cmpc_search.stages.profiling import ProfileOrder, network_of
from cmpc_search.stages.seeds import Seed
from cmpc_search.stages.trained_picks import PickFacts, pick_of
from cmpc_search.study.records import Candidate, CandidateScore
from cmpc_search.study.settings import Budget


def order(model, **asked):
    return ProfileOrder(model=model, cache_dir=model.parent, **asked)


def test_a_candidate_is_asked_of_a_run_only(tmp_path):
    file = tmp_path / "net.onnx"
    file.touch()

    assert network_of(order(file)).path == file
    for asked in ({"candidate": 3}, {"seed": 1}):
        with pytest.raises(BadArgument, match="go with a run"):
            network_of(order(file, **asked))


@pytest.fixture
def run(tmp_path):
    """A run that picked its candidate 7 and has its supernet's slice of it."""
    run = open_run(tmp_path / "run", settings={}, inputs={})
    key = load_space("small").smallest().key
    score = CandidateScore(architecture=key, reward_name="product map", reward=0.5)
    candidate = Candidate(number=7, score=score)
    write_pick(run, candidate, how="best", cost="macs", budget=Budget())
    run.candidates_path.mkdir(exist_ok=True)
    (run.candidates_path / f"{key}.onnx").touch()
    return run


def leave_trained(run, seed):
    architecture = load_space("small").smallest()
    left = pick_of(run, architecture, Seed(number=seed))
    left.folder.mkdir(parents=True)
    facts = PickFacts(
        architecture=architecture.key, method="bct", training={}, seed=seed, bank_seed=seed
    )
    write_json(left.facts_path, facts.to_json())
    left.onnx_path.touch()
    return left.onnx_path


def test_of_a_run_the_trained_pick_is_profiled_and_not_what_the_supernet_made_of_it(run):
    untrained = network_of(order(run.path))
    assert untrained.path.parent == run.candidates_path
    assert "candidate 7 with the weights of the supernet; no pick is trained" in untrained.what

    left = {seed: leave_trained(run, seed) for seed in (2, 1)}

    first, second = (network_of(order(run.path, seed=seed)) for seed in (None, 2))
    assert (first.path, second.path) == (left[1], left[2])
    assert "trained pick, candidate 7 with seed 2" in second.what
    with pytest.raises(BadArgument, match=r"one that was trained \(1, 2\), got 3"):
        network_of(order(run.path, seed=3))
