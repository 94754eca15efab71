"""A score that went to disk comes back the same, whatever is in it."""

import json

import hypothesis
import hypothesis.strategies as st
import pytest

from cmpc_search.errors import BadArgument, BadRun
from cmpc_search.study.records import Accuracy, CandidateScore
from cmpc_search.study.settings import Budget, StudySettings

share = st.floats(0, 1)
accuracy = st.none() | st.builds(Accuracy, top1=share, top10=share, mean_average_precision=share)
latency = st.none() | st.fixed_dictionaries(
    {
        "value": st.floats(0, 1e6),
        "unit": st.just("ms"),
        "machine": st.dictionaries(st.text(), st.text()),
    }
)
scores = st.builds(
    CandidateScore,
    architecture=st.text(),
    homogeneous=accuracy,
    heterogeneous=accuracy,
    reward_name=st.text(),
    reward=st.none() | share,
    macs=st.none() | st.integers(0, 2**60),
    parameters=st.none() | st.integers(0, 2**60),
    latency=latency,
    unstable_reasons=st.lists(st.text()).map(tuple),
    error=st.none() | st.text(),
    seconds=st.floats(0, 1e6),
)


@hypothesis.given(scores)
def test_a_score_survives_json(score):
    assert CandidateScore.from_json(json.loads(json.dumps(score.to_json()))) == score


@pytest.mark.parametrize("change", [{"colour": "red"}, {"heterogeneous": {"top5": 1.0}}])
def test_a_stored_score_of_another_version_is_refused(change):
    document = CandidateScore(architecture="k3w1.0", reward_name="r").to_json()
    with pytest.raises(BadRun, match="fields of this version"):
        CandidateScore.from_json(document | change)


def test_a_latency_in_another_unit_is_refused():
    score = CandidateScore(
        architecture="k3w1.0", reward_name="r", latency={"value": 3.0, "unit": "us"}
    )
    with pytest.raises(BadRun, match="must be a number in 'ms'"):
        _ = score.latency_ms


def test_the_excess_is_relative_to_each_limit():
    score = CandidateScore(
        architecture="k3w1.0", reward_name="r", macs=50, latency={"value": 3.0, "unit": "ms"}
    )
    assert Budget(latency_ms=2.0, macs=100).excess(score) == {"latency_ms": 0.5, "macs": -0.5}
    assert Budget(macs=50).is_met_by(score)


@pytest.mark.parametrize(
    "change", [{"num_trials": 0}, {"population": 1}, {"seed": -1}, {"cost": "joule"}]
)
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(BadArgument, match="got"):
        StudySettings(**{"num_trials": 1} | change)


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_a_budget_must_be_a_positive_number(limit):
    with pytest.raises(BadArgument, match="positive and finite"):
        Budget(latency_ms=limit)
