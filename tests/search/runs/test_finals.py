"""What is found out after a search counts where it can be compared, and only there."""

from dataclasses import replace

import pytest

from cmpc_search.errors import BadRun
from cmpc_search.runs import RunFolder
from cmpc_search.runs.finals import read_standing, write_front_costs, write_trained_score
from cmpc_search.study.records import Accuracy, Candidate, CandidateScore, TrainedScore
from cmpc_search.study.settings import NO_BUDGET, Budget

ACCURACY = Accuracy(top1=0.5, top10=1.0, mean_average_precision=0.25, mean_reciprocal_rank=0.5)

TRAINED = TrainedScore(
    num_steps=7, homogeneous=ACCURACY, heterogeneous=ACCURACY, cosine=0.5, reward=0.75
)


def candidate(number, reward, ms):
    score = CandidateScore(
        architecture=f"k3w{number}.0",
        reward_name="r",
        reward=reward,
        latency={"value": ms, "unit": "ms", "source": "measured"},
    )
    return Candidate(number=number, score=score)


def at(one, ms):
    return replace(one, score=replace(one.score, latency={**one.score.latency, "value": ms}))


SEARCHED = (candidate(0, 0.1, 1.0), candidate(1, 0.2, 2.0), candidate(2, 0.15, 3.0))


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path)


def standing(run, searched=SEARCHED, budget=NO_BUDGET):
    return read_standing(run, searched, cost="latency", budget=budget)


def test_the_front_is_of_what_was_measured_together_and_the_search_keeps_its_own(run):
    """Timed in turn, 1 is as fast as 0: it was a busy minute that made it twice as slow."""
    write_front_costs(run, [at(SEARCHED[0], 1.5), at(SEARCHED[1], 1.5)])

    found = standing(run)

    assert found.is_measured_together
    assert [(one.number, one.score.latency_ms) for one in found.front] == [(1, 1.5)]
    assert [one.score.latency_ms for one in found.candidates] == [1.5, 1.5, 3.0]
    assert [one.number for one in found.contenders] == [0, 1]


def test_a_measurement_that_lacks_one_of_a_longer_search_does_not_count(run):
    write_front_costs(run, [at(SEARCHED[0], 1.5), at(SEARCHED[1], 1.5)])

    found = standing(run, (*SEARCHED, candidate(3, 0.9, 4.0)))

    assert not found.is_measured_together
    assert [(one.number, one.score.latency_ms) for one in found.front] == [(0, 1), (1, 2), (3, 4)]


def test_a_measurement_that_lacks_a_finalist_does_not_count(run):
    write_front_costs(run, [at(SEARCHED[0], 1.5), at(SEARCHED[1], 1.5)])
    write_trained_score(run, SEARCHED[2].score.architecture, TRAINED)

    assert not standing(run).is_measured_together


def test_what_turns_out_too_slow_for_the_budget_leaves_the_front(run):
    write_front_costs(run, [at(SEARCHED[0], 1.0), at(SEARCHED[1], 2.5)])

    assert [one.number for one in standing(run, budget=Budget(latency_ms=2.2)).front] == [0]


def test_a_finalists_training_is_read_back_with_its_candidate(run):
    write_trained_score(run, SEARCHED[1].score.architecture, TRAINED)

    found = standing(run)

    assert found.finalists == (replace(SEARCHED[1], trained=TRAINED),)
    assert [one.trained for one in found.candidates] == [None, TRAINED, None]


def test_a_damaged_score_of_a_finalist_names_its_file(run):
    folder = run.finalist_path(SEARCHED[0].score.architecture)
    folder.mkdir(parents=True)
    (folder / "score.json").write_text('{"trained": {}}')

    with pytest.raises(BadRun, match=r"score\.json must hold what cmpc wrote there"):
        standing(run)
