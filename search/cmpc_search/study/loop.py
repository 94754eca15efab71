"""Ask, score, record, until the study has its candidates: the loop that a kill can't hurt.

Several processes may run it over one study. All that decides what happens next (settling what the
dead left, counting, proposing, claiming) is done in one turn of milliseconds, in which the rows of
the study are read once; scoring takes seconds and holds nothing. See `cmpc_search.study.ledger` for
what each kill leaves behind.
"""

import logging
import time
from collections.abc import Callable

from optuna.trial import Trial

from cmpc_base.errors import CmpcError, MachineFault
from cmpc_base.machine_faults import machine_fault
from cmpc_base.progress import OnNotice
from cmpc_search.errors import BudgetNotMet
from cmpc_search.space.base import Architecture, Space
from cmpc_search.study.coordination.base import Coordinator, Worker
from cmpc_search.study.gate import Gate, NoArchitectureLeft, make_sampler
from cmpc_search.study.ledger import Ledger, Standing, read_candidates
from cmpc_search.study.progress import Counts, StudySummary, TrialProgress
from cmpc_search.study.records import Candidate, CandidateScore
from cmpc_search.study.settings import Budget, StudySettings

__all__ = ["FIRST_FAILURES", "load_candidates", "run_study"]

FIRST_FAILURES = 10  # so many failed candidates and no other: the fault is hardly theirs

# Whatever happens to one candidate of the search, these would happen to the next one too.
ABOUT_THE_RUN = (CmpcError, ImportError)

_log = logging.getLogger(__name__)

Scorer = Callable[[Architecture], CandidateScore]


def run_study(
    score: Scorer,
    space: Space,
    settings: StudySettings,
    *,
    coordinator: Coordinator,
    on_trial: Callable[[TrialProgress], None] | None = None,
    on_notice: OnNotice | None = None,
) -> StudySummary:
    """Score candidates until the study of ``coordinator`` has ``settings.num_trials`` of them.

    An existing study goes on where it stopped. What ``score`` returns is recorded, an error in it
    too. An exception about the run or the machine (`ABOUT_THE_RUN`, `machine_fault`), for example
    an unreachable device or a full disk, ends this process and the candidate stays for the next
    one. Any other exception is recorded as the candidate's failure.

    Args:
        on_trial: Called after each candidate that this process scored.
        on_notice: Called with a sentence that the user must read now: why nothing goes on for the
            moment, or that all candidates fail.

    Raises:
        BudgetNotMet: not one architecture stays within the budget in MACs.
        BadRun: the study was begun with another space or cost.
        MachineFault: the machine refused what scoring needs.
        StudyUnavailable: the study's file is damaged, or another program locks it.
    """
    with coordinator.translated_errors(), coordinator.join() as worker:
        search = _Search(space, settings, coordinator, worker, on_notice or _log.warning)
        while (claimed := search.claim_next()) is not None:
            trial, architecture = claimed
            candidate = search.record(trial, _score_safely(score, architecture))
            if on_trial is not None:
                on_trial(search.progress(candidate))
        return search.summary()


def load_candidates(
    coordinator: Coordinator, *, on_notice: OnNotice | None = None
) -> tuple[Candidate, ...]:
    """Return every recorded result of a study, by trial number.

    Raises:
        BadRun: there is no study.
        StudyUnavailable: it is damaged, or another program keeps it.
    """
    study = coordinator.load_study(on_notice)
    with coordinator.translated_errors():
        return read_candidates(study)


class _Search:
    """One process at work on a study."""

    def __init__(
        self,
        space: Space,
        settings: StudySettings,
        coordinator: Coordinator,
        worker: Worker,
        on_notice: OnNotice,
    ) -> None:
        self._coordinator = coordinator
        self._on_notice = on_notice
        self._settings = settings
        self._num_architectures = space.num_architectures
        self._gate = Gate(max_macs=settings.budget.macs)
        self._stopped_early: str | None = None
        self._num_recorded = 0
        self._has_warned = False
        with coordinator.turn(on_notice):
            study = coordinator.create_study()
            self._ledger = Ledger(study, space, settings, worker)
            session = self._ledger.start_session()
            study.sampler = make_sampler(settings, space, self._gate, session=session)

    def claim_next(self) -> tuple[Trial, Architecture] | None:
        """Return what this process scores next, or None when there is nothing for it to do."""
        with self._coordinator.turn(self._on_notice):
            self._standing = self._ledger.settle()
            claimed = self._claim(self._standing)
        self._warn_if_all_fail()
        return claimed

    def _claim(self, standing: Standing) -> tuple[Trial, Architecture] | None:
        counts = standing.counts
        if counts.finished + counts.running >= self._settings.num_trials:
            return None
        self._gate.renew(standing.known)
        if len(standing.known) >= self._num_architectures:
            self._stopped_early = f"all {self._num_architectures} architectures are known"
            return None
        try:
            trial, architecture = self._ledger.ask()
        except NoArchitectureLeft:
            self._ledger.settle()  # the row that `ask` had begun
            self._stop_early(len(standing.known))
            return None
        self._ledger.claim(trial, architecture, self._gate)
        return trial, architecture

    def record(self, trial: Trial, score: CandidateScore) -> Candidate:
        """Store what scoring gave."""
        self._coordinator.wait_until_writable(self._on_notice)
        candidate = self._ledger.record(trial, score)
        self._num_recorded += 1
        return candidate

    def progress(self, candidate: Candidate) -> TrialProgress:
        """Tell where the study stood when this candidate was claimed, and what it adds."""
        known = (*self._standing.candidates, candidate)
        return TrialProgress(
            finished=len(known),
            total=self._settings.num_trials,
            candidate=candidate,
            best_reward=_best_reward(known, self._settings.budget),
            over_budget=self._standing.counts.over_budget + self._gate.over_budget,
        )

    def summary(self) -> StudySummary:
        """Tell where the study stood when there was nothing more to claim."""
        return StudySummary(
            counts=self._standing.counts,
            candidates=self._standing.candidates,
            stopped_early=self._stopped_early,
        )

    def _warn_if_all_fail(self) -> None:
        """Say so, once, if the study looks hopeless."""
        counts, candidates = self._standing.counts, self._standing.candidates
        is_early = counts.finished < FIRST_FAILURES or not self._num_recorded
        if is_early or self._has_warned or counts.failed + counts.unknown < counts.finished:
            return
        self._has_warned = True
        self._on_notice(_all_fail(counts, candidates[-1]))

    def _stop_early(self, num_known: int) -> None:
        gate = self._gate
        if num_known == 0:
            raise BudgetNotMet(
                f"an architecture must stay within {self._settings.budget.macs} MACs; the "
                f"smallest of {gate.over_budget} drawn has {gate.least_macs}: "
                "raise the budget or take a smaller space"
            )
        self._stopped_early = (
            f"no new architecture was found within the allowed draws: {gate.reused} were known "
            f"and {gate.over_budget} over the budget in MACs"
        )


def _score_safely(score: Scorer, architecture: Architecture) -> CandidateScore:
    started = time.monotonic()
    try:
        result = score(architecture)
    except ABOUT_THE_RUN:
        raise
    except Exception as error:
        if (fault := machine_fault(error)) or isinstance(error, OSError):
            raise MachineFault(
                f"scoring a candidate needs a machine that lets it, got: {fault or error}. "
                "Put that right and give the same command again: the candidate is scored then"
            ) from error
        _log.debug("scoring %s failed", architecture.key, exc_info=True)
        return CandidateScore(
            architecture=architecture.key,
            reward_name="none",
            error=f"{type(error).__name__}: {error}",
            seconds=time.monotonic() - started,
        )
    assert result.architecture == architecture.key, "a scorer answers for what it was asked"
    return result


def _best_reward(candidates: tuple[Candidate, ...], budget: Budget) -> float | None:
    scores = (candidate.score for candidate in candidates if candidate.score.is_comparable)
    rewards = (score.reward for score in scores if budget.is_met_by(score))
    return max((reward for reward in rewards if reward is not None), default=None)


def _all_fail(counts: Counts, candidate: Candidate) -> str:
    if counts.unknown:
        return (
            f"of none of the first {counts.finished} candidates is the cost known, so the search "
            f"will hardly find one; the latest: {'; '.join(candidate.score.unknown_reasons)}"
        )
    return (
        f"all of the first {counts.finished} candidates failed, so the fault is hardly theirs; "
        f"the latest said: {candidate.score.error}"
    )
