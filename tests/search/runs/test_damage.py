"""Whatever is in a file of a run, reading it gives a record or an error that names the file."""

import contextlib
import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmpc_cost_models import CostModelsError
from cmpc_cost_models.targets.table import find_target
from cmpc_search.errors import SearchError
from cmpc_search.runs import note_session, open_run, read_pick, reopen_run, write_pick
from cmpc_search.space.presets.catalogue import load_space
from cmpc_search.stages.run_material import search_settings_of, target_of
from cmpc_search.stages.settings import SearchSettings
from cmpc_search.stages.trained_picks import PickFacts, TrainedPick
from cmpc_search.study.records import Accuracy, Candidate, CandidateScore
from cmpc_search.study.settings import Budget

ARCHITECTURE = load_space("small").smallest().key
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9)
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=4
)
PICK = CandidateScore(
    architecture=ARCHITECTURE,
    heterogeneous=Accuracy(top1=0.5, top10=0.9, mean_average_precision=0.4),
    reward_name="heterogeneous map",
    reward=0.4,
    latency={"value": 3.5, "unit": "ms", "source": "measured", "spread": 0.1},
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = open_run(
        tmp_path_factory.mktemp("runs") / "run",
        settings=SearchSettings().model_dump(mode="json"),
        inputs={"data_sha256": "d0", "target": find_target("host").to_json()},
    )
    budget = Budget(latency_ms=4.0)
    write_pick(made, Candidate(number=3, score=PICK), how="best", cost="latency", budget=budget)
    note_session(made, ["cmpc", "search"])
    facts = PickFacts(
        architecture=ARCHITECTURE, method="bct", training={"num_steps": 3}, seed=0, bank_seed=0
    )
    (made.path / "facts.json").write_text(json.dumps(facts.to_json()))
    return made


def read_settings(run):
    search_settings_of(reopen_run(run.path))
    run.fact("data_sha256")
    target_of(run)


def pick_of(run):
    candidate = read_pick(run)
    _ = candidate.score.latency_ms
    load_space("small").read(candidate.score.architecture)


def trained_pick_of(run):
    pick = TrainedPick(run.path)
    _ = (pick.architecture, pick.training, pick.seed)


def join(run):
    note_session(run, ["cmpc"])


READERS = {
    "settings.json": read_settings,
    "pick.json": pick_of,
    "facts.json": trained_pick_of,
    "manifest.json": join,
}


def places(tree, above=()):
    """Yield the way to each value of a JSON document."""
    yield above
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from places(value, (*above, name))


def with_another(tree, place, value):
    if not place:
        return value
    changed = copy.deepcopy(tree)
    branch = changed
    for name in place[:-1]:
        branch = branch[name]
    branch[place[-1]] = value
    return changed


def read_damaged(run, name, place, value):
    path = run.path / name
    whole = path.read_text()
    try:
        path.write_text(json.dumps(with_another(json.loads(whole), place, value)))
        READERS[name](run)
    finally:
        path.write_text(whole)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=25)
@given(data=st.data())
def test_no_damage_to_a_file_is_anything_but_an_error_of_ours(run, name, data):
    place = data.draw(st.sampled_from(list(places(json.loads((run.path / name).read_text())))))
    with contextlib.suppress(SearchError, CostModelsError):
        read_damaged(run, name, place, data.draw(JSON))


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("settings.json", ("settings",), 3),
        ("settings.json", ("settings",), "x"),
        ("settings.json", ("inputs",), -1),
        ("settings.json", ("inputs",), {}),
        ("settings.json", ("inputs", "target"), 3),
        ("settings.json", ("settings", "budget_mmacs"), 1e308),
        ("pick.json", ("pick",), []),
        ("pick.json", ("pick", "number"), "three"),
        ("pick.json", ("pick", "score", "architecture"), None),
        ("pick.json", ("pick", "score", "architecture"), "k3"),
        ("pick.json", ("pick", "score", "latency", "value"), "fast"),
        ("pick.json", ("pick", "score", "heterogeneous"), 0.5),
        ("facts.json", (), {}),
        ("facts.json", ("seed",), 10**30),
        ("facts.json", ("training",), [1]),
        ("manifest.json", ("sessions",), 3),
        ("manifest.json", ("sessions",), [3]),
    ],
)
def test_a_value_of_another_kind_is_refused(run, name, place, value):
    with pytest.raises((SearchError, CostModelsError)):
        read_damaged(run, name, place, value)
