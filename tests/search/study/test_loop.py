"""What a study promises while nobody kills it."""

import collections
import math
import random
from dataclasses import replace

import pytest
from safetensors import SafetensorError

from cmpc_base.errors import MachineFault, UnknownName
from cmpc_search.errors import BadRun, BudgetNotMet, CostUnknown, SearchError
from cmpc_search.study.coordination.files import FileCoordinator
from cmpc_search.study.front import pareto_front, pick
from cmpc_search.study.ledger import Ledger
from cmpc_search.study.loop import FIRST_FAILURES, load_candidates, run_study
from cmpc_search.study.records import CandidateScore
from cmpc_search.study.samplers.catalogue import SAMPLERS
from cmpc_search.study.settings import Budget, StudySettings
from cmpc_search.testing.toy_study import ToySpace, toy_score


@pytest.fixture
def study(tmp_path):
    return FileCoordinator(tmp_path / "study.db")


def macs_settings(num_trials, **changes):
    return StudySettings(num_trials=num_trials, population=6, cost="macs", **changes)


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_every_sampler_scores_each_architecture_once(study, space, sampler):
    scored = []

    def score(architecture):
        scored.append(architecture)
        return toy_score(architecture)

    summary = run_study(score, space, macs_settings(16, sampler=sampler), coordinator=study)

    assert len(set(scored)) == len(scored) == summary.counts.finished == 16
    assert load_candidates(study) == summary.candidates


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_the_seed_decides_the_search(tmp_path, space, score, sampler):
    def keys(name, seed):
        settings = macs_settings(8, sampler=sampler, seed=seed)
        summary = run_study(score, space, settings, coordinator=FileCoordinator(tmp_path / name))
        return [candidate.score.architecture for candidate in summary.candidates]

    assert keys("one", 7) == keys("two", 7) != keys("three", 8)


def test_a_front_has_eight_points_or_more_over_a_factor_of_five_in_cost(study):
    """Where the reward grows with the logarithm of the MACs, less some noise of one network."""
    space, limit = ToySpace(num_blocks=6), 200  # from 36 MACs to 336

    def score(architecture):
        noise = random.Random(architecture.key).gauss(0, 0.05)
        reward = math.log10(space.macs(architecture)) + noise
        return replace(toy_score(architecture, space), reward=reward)

    settings = StudySettings(
        num_trials=48, population=16, cost="macs", budget=Budget(macs=limit), seed=1
    )
    summary = run_study(score, space, settings, coordinator=study)

    front = pareto_front(summary.candidates, cost="macs", budget=Budget(macs=limit))
    assert len(front) >= 8
    assert front[-1].score.macs >= 5 * front[0].score.macs


def test_the_first_candidates_are_one_in_each_range_of_macs(study, space, score):
    settings = macs_settings(6)
    summary = run_study(score, space, settings, coordinator=study)

    macs = sorted(candidate.score.macs for candidate in summary.candidates)
    low, high = space.macs(space.smallest()), space.macs(space.largest())
    places = [math.log(one / low) / math.log(high / low) * 6 for one in macs]
    assert all(at <= place <= at + 1 for at, place in enumerate(places))


@pytest.mark.slow
def test_a_search_is_better_than_chance(tmp_path):
    space = ToySpace(num_blocks=8)

    def best(sampler, seed):
        settings = StudySettings(
            num_trials=60, sampler=sampler, population=10, seed=seed, budget=Budget(latency_ms=12.0)
        )
        path = tmp_path / f"{sampler}{seed}"
        summary = run_study(
            lambda a: toy_score(a, space), space, settings, coordinator=FileCoordinator(path)
        )
        front = pareto_front(summary.candidates, cost="latency", budget=settings.budget)
        return max((each.score.reward for each in front), default=0.0)

    seeds = range(2)
    assert sum(best("nsga2", seed) for seed in seeds) > sum(best("random", seed) for seed in seeds)


def test_more_trials_continue_the_study_without_replaying_it(study, space):
    scored = []

    def score(architecture):
        scored.append(architecture.key)
        return toy_score(architecture)

    first = run_study(score, space, macs_settings(5), coordinator=study)
    second = run_study(score, space, macs_settings(12), coordinator=study)

    assert second.candidates[:5] == first.candidates
    assert len(set(scored)) == len(scored) == 12
    assert second.counts.reused < 5  # the same random numbers would have proposed all five again


def test_a_failed_candidate_is_a_result_and_no_sampler_sees_it(study):
    space = ToySpace(num_blocks=2)

    def score(architecture):
        if architecture.options[0] == 3:
            raise RuntimeError("the compiler died")
        result = toy_score(architecture, space)
        return replace(result, reward=math.nan) if architecture.options[0] == 2 else result

    summary = run_study(score, space, macs_settings(20), coordinator=study)

    assert summary.counts.finished == 20
    errors = collections.Counter(
        (each.score.architecture[:2], each.score.error) for each in summary.candidates
    )
    assert {(block, error) for (block, error) in errors if error} == {
        ("xc", "RuntimeError: the compiler died"),
        ("k7", "the reward heterogeneous must be a finite number, got nan"),
    }
    assert summary.counts.failed == sum(n for (_, error), n in errors.items() if error) > 0
    assert summary.counts.feasible == 20 - summary.counts.failed


def test_candidates_of_unknown_cost_are_kept_on_no_front_and_end_a_search_with_3(study, space):
    reasons = ("Softsign 'squash' has no model",)
    notices = []
    summary = run_study(
        lambda a: replace(toy_score(a), latency=None, unknown_reasons=reasons),
        space,
        replace(macs_settings(FIRST_FAILURES), cost="latency"),
        coordinator=study,
        on_notice=notices.append,
    )

    assert (summary.counts.failed, summary.counts.unknown) == (0, FIRST_FAILURES)
    assert all(each.score.unknown_reasons == reasons for each in load_candidates(study))
    assert pareto_front(summary.candidates, cost="latency") == ()
    with pytest.raises(CostUnknown, match="Softsign 'squash'") as caught:
        pick(summary.candidates, cost="latency")
    assert caught.value.exit_code == 3
    [notice] = notices
    assert "is the cost known" in notice


def test_each_kind_of_candidate_is_counted_once(study):
    space = ToySpace(num_blocks=1)  # 12 architectures: four blocks of three widths

    def score(architecture):
        found = toy_score(architecture, space)
        fates = ({"error": "no code"}, {"latency": None, "unknown_reasons": ("no model",)}, {}, {})
        return replace(found, **fates[architecture.options[0]])

    settings = StudySettings(num_trials=12, population=6, budget=Budget(latency_ms=3.5))
    counts = run_study(score, space, settings, coordinator=study).counts

    # Six are scored: 1.8, 3.0 and 4.2 ms with block 2, and 2.4, 4.0 and 5.6 ms with block 3.
    assert (counts.finished, counts.failed, counts.unknown, counts.feasible) == (12, 3, 3, 3)


def test_when_all_fail_it_is_said_once(study, space):
    notices = []
    run_study(
        lambda a: CandidateScore(architecture=a.key, reward_name="r", error="no such target"),
        space,
        macs_settings(FIRST_FAILURES + 3),
        coordinator=study,
        on_notice=notices.append,
    )
    [notice] = notices
    assert f"all of the first {FIRST_FAILURES} candidates failed" in notice
    assert "no such target" in notice


def test_the_rows_of_a_study_are_read_once_for_each_candidate(study, space, score, monkeypatch):
    readings = []
    rows_now = Ledger._rows

    def counted(self):
        readings.append(1)
        return rows_now(self)

    monkeypatch.setattr(Ledger, "_rows", counted)

    run_study(score, space, macs_settings(8), coordinator=study)

    assert len(readings) == 8 + 1  # the last one found that there is nothing left to do


def test_an_error_about_the_run_leaves_the_candidate_to_the_next_process(study, space, score):
    class DeviceGone(SearchError):
        exit_code = 4

    asked = []

    def unplugged(architecture):
        asked.append(architecture.key)
        raise DeviceGone("rpi4 is gone")

    with pytest.raises(DeviceGone):
        run_study(unplugged, space, macs_settings(1), coordinator=study)
    summary = run_study(score, space, macs_settings(1), coordinator=study)

    assert [each.score.architecture for each in summary.candidates] == asked


REFUSALS = {
    "a folder that may not be written": PermissionError(13, "Permission denied", "x.onnx"),
    "a full disk": OSError(28, "No space left on device"),
    "a file that is gone": FileNotFoundError(2, "No such file or directory", "x.onnx"),
    "memory": MemoryError(),
    "memory, as torch says it": RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    "a full disk, as safetensors says it": SafetensorError("I/O error: ... (os error 28)"),
    "a library": ModuleNotFoundError("No module named 'onnx'", name="onnx"),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_what_the_machine_refuses_is_no_candidates_failure(study, space, score, refusal):
    asked = []

    def refused(architecture):
        asked.append(architecture.key)
        if len(asked) == 2:
            raise refusal
        return score(architecture)

    with pytest.raises((MachineFault, ImportError)):
        run_study(refused, space, macs_settings(4), coordinator=study)
    summary = run_study(refused, space, macs_settings(4), coordinator=study)

    assert len(asked) == 5
    assert asked[2] == asked[1]  # put right, it is scored after all
    assert (summary.counts.finished, summary.counts.failed) == (4, 0)


def test_a_mac_budget_is_never_exceeded_even_when_chance_would_never_meet_it(study):
    # 12 blocks of 6 MACs at least: one of 12^12 architectures costs 72, few cost less than 90.
    space = ToySpace(num_blocks=12)
    budget = Budget(macs=90)
    summary = run_study(
        lambda a: toy_score(a, space),
        space,
        macs_settings(3, budget=budget),
        coordinator=study,
    )
    assert summary.counts.feasible == summary.counts.finished == 3
    assert summary.counts.over_budget > 0
    assert all(each.score.macs <= 90 for each in summary.candidates)


def test_a_mac_budget_below_the_whole_space_says_so(study, space, score):
    with pytest.raises(BudgetNotMet, match="must stay within 3 MACs; the smallest of"):
        run_study(
            score,
            space,
            macs_settings(5, budget=Budget(macs=3)),
            coordinator=study,
        )


def test_a_latency_over_the_budget_is_recorded_but_not_feasible(study, space, score):
    settings = StudySettings(num_trials=12, population=6, budget=Budget(latency_ms=9.0))
    summary = run_study(score, space, settings, coordinator=study)

    over = [each for each in summary.candidates if each.score.latency_ms > 9.0]
    assert over
    assert summary.counts.feasible == 12 - len(over)


@pytest.mark.parametrize("cost", ["latency", "macs"])
def test_what_the_study_holds_for_best_is_the_front_that_a_user_sees(study, space, score, cost):
    budget = Budget(latency_ms=9.0)
    settings = StudySettings(num_trials=24, population=6, cost=cost, budget=budget)

    summary = run_study(score, space, settings, coordinator=study)

    front = pareto_front(summary.candidates, cost=cost, budget=budget)
    best = {trial.number: trial.values for trial in study.load_study().best_trials}
    assert best == {
        one.number: [
            one.score.reward,
            math.log(one.score.latency_ms if cost == "latency" else one.score.macs),
        ]
        for one in front
    }


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
@pytest.mark.parametrize("num_blocks", [1, 2])
def test_a_space_that_runs_out_ends_the_search_and_says_why(study, sampler, num_blocks):
    space = ToySpace(num_blocks=num_blocks, codes=(0, 1), widths=(1.0,))
    settings = macs_settings(50, sampler=sampler)
    summary = run_study(lambda a: toy_score(a, space), space, settings, coordinator=study)

    assert summary.counts.finished == 2**num_blocks
    assert summary.stopped_early == f"all {2**num_blocks} architectures are known"
    again = run_study(lambda a: toy_score(a, space), space, settings, coordinator=study)
    assert again.candidates == summary.candidates


def test_a_space_of_one_architecture_is_scored_once(study):
    space = ToySpace(num_blocks=2, codes=(1,), widths=(1.0,))
    summary = run_study(lambda a: toy_score(a, space), space, macs_settings(3), coordinator=study)
    assert summary.counts.finished == 1


def test_the_progress_tells_how_many_are_finished_and_the_best(study, space, score):
    seen = []
    run_study(score, space, macs_settings(6), coordinator=study, on_trial=seen.append)

    assert [(each.finished, each.total) for each in seen] == [(n, 6) for n in range(1, 7)]
    rewards = [each.candidate.score.reward for each in seen]
    assert [each.best_reward for each in seen] == [max(rewards[:n]) for n in range(1, 7)]


def test_the_best_so_far_is_the_best_within_the_budget(study, space, score):
    seen = []
    settings = StudySettings(num_trials=8, population=6, budget=Budget(latency_ms=9.0))
    run_study(score, space, settings, coordinator=study, on_trial=seen.append)

    scores = [each.candidate.score for each in seen]
    assert max(scores, key=lambda one: one.reward).latency_ms > 9.0
    for count, each in enumerate(seen, start=1):
        within = [one.reward for one in scores[:count] if one.latency_ms <= 9.0]
        assert each.best_reward == (max(within) if within else None)


def test_another_space_or_cost_is_refused(study, space, score):
    run_study(score, space, macs_settings(2), coordinator=study)
    with pytest.raises(BadRun, match="must keep its block_04: this one was begun with None, got"):
        run_study(score, ToySpace(num_blocks=5), macs_settings(3), coordinator=study)
    with pytest.raises(BadRun, match="must keep its cost"):
        run_study(score, space, StudySettings(num_trials=3), coordinator=study)


def test_an_unknown_sampler_lists_the_known_ones(study, space, score):
    with pytest.raises(UnknownName, match=r"called 'nsga3'.* nsga2, .*; .*mean 'nsga2'\?"):
        run_study(score, space, macs_settings(2, sampler="nsga3"), coordinator=study)


def test_a_missing_study_is_not_created_by_looking(study):
    with pytest.raises(BadRun, match="run `cmpc search`"):
        load_candidates(study)
    assert not study.study_path.exists()
