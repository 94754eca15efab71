"""Ask, score, record, until the study has its candidates: the loop that a kill can't hurt.

Several processes may run it over one file. All that decides what happens next (settling what the
dead left, counting, proposing, claiming) is done under one lock and takes milliseconds; scoring
takes seconds and holds nothing. See `cmpc_search.study.ledger` for what each kill leaves behind.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import Trial

from cmpc_cost_models.errors import CostModelsError, MachineFault
from cmpc_cost_models.machine_faults import machine_fault
from cmpc_kernels.errors import KernelsError
from cmpc_search.errors import BudgetNotMet, SearchError
from cmpc_search.space.architecture import Architecture
from cmpc_search.study.encoding import Encoding, Space
from cmpc_search.study.ledger import Ledger, read_candidates
from cmpc_search.study.locks import Worker, exclusive
from cmpc_search.study.progress import Counts, StudySummary, TrialProgress
from cmpc_search.study.records import Candidate, CandidateScore
from cmpc_search.study.samplers import Gate, NoArchitectureLeft, make_sampler
from cmpc_search.study.settings import Budget, StudySettings
from cmpc_search.study.storage import create_study, load_study

__all__ = ["FIRST_FAILURES", "load_candidates", "run_study"]

FIRST_FAILURES = 10  # so many failed candidates and no other: the fault is hardly theirs

# Whatever happens to one candidate of the search, these would happen to the next one too.
ABOUT_THE_RUN = (SearchError, CostModelsError, KernelsError, ImportError)

_log = logging.getLogger(__name__)

Scorer = Callable[[Architecture], CandidateScore]


def run_study(
    score: Scorer,
    space: Space,
    settings: StudySettings,
    *,
    storage_path: Path,
    on_trial: Callable[[TrialProgress], None] | None = None,
) -> StudySummary:
    """Score candidates until the study in ``storage_path`` has ``settings.num_trials`` of them.

    An existing study goes on where it stopped. What ``score`` returns is recorded, an error in it
    too. An exception about the run or the machine (`ABOUT_THE_RUN`, `machine_fault`), for example
    an unreachable device or a full disk, ends this process and the candidate stays for the next
    one. Any other exception is recorded as the candidate's failure.

    Raises:
        BudgetNotMet: not one architecture stays within the budget in MACs.
        BadRun: the study was begun with another space or cost.
        MachineFault: the machine refused what scoring needs.
    """
    with Worker(storage_path.with_name(f"{storage_path.name}.workers")) as worker:
        search = _Search(space, settings, storage_path=storage_path, worker=worker)
        while (claimed := search.claim_next()) is not None:
            trial, architecture = claimed
            candidate = search.ledger.record(trial, _score_safely(score, architecture))
            if on_trial is not None:
                on_trial(search.progress(candidate))
        return search.summary()


def load_candidates(storage_path: Path) -> tuple[Candidate, ...]:
    """Return every recorded result of the study in ``storage_path``, by trial number.

    Raises:
        BadRun: there is no study.
    """
    return read_candidates(load_study(storage_path))


class _Search:
    """One process at work on a study."""

    def __init__(
        self, space: Space, settings: StudySettings, *, storage_path: Path, worker: Worker
    ) -> None:
        self._settings = settings
        self._num_architectures = Encoding(space).num_architectures
        self._lock_path = storage_path.with_name(f"{storage_path.name}.lock")
        self._gate = Gate(max_macs=settings.budget.macs)
        self._stopped_early: str | None = None
        with exclusive(self._lock_path):
            study = create_study(storage_path)
            self.ledger = Ledger(study, space, settings, worker)
            session = self.ledger.start_session(space)
            study.sampler = make_sampler(settings, space, self._gate, session=session)
        self._clock = _Clock(time.monotonic(), self.ledger.standing().counts.finished)

    def claim_next(self) -> tuple[Trial, Architecture] | None:
        """Return what this process scores next, or None when there is nothing for it to do."""
        with exclusive(self._lock_path):
            self.ledger.reap()
            standing = self.ledger.standing()
            counts = standing.counts
            if counts.finished + counts.running >= self._settings.num_trials:
                return None
            self._gate.renew(standing.known)
            if len(standing.known) >= self._num_architectures:
                self._stopped_early = f"all {self._num_architectures} architectures are known"
                return None
            try:
                trial, architecture = self.ledger.ask()
            except NoArchitectureLeft:
                self.ledger.reap()  # the row that `ask` had begun
                self._stop_early(len(standing.known))
                return None
            self.ledger.claim(trial, architecture, self._gate)
            return trial, architecture

    def progress(self, candidate: Candidate) -> TrialProgress:
        standing, total = self.ledger.standing(), self._settings.num_trials
        counts = standing.counts
        elapsed_s, remaining_s = self._clock.read(counts.finished, total)
        return TrialProgress(
            finished=counts.finished,
            total=total,
            feasible=counts.feasible,
            failed=counts.failed,
            reused=counts.reused,
            candidate=candidate,
            best_reward=_best_reward(standing.candidates, self._settings.budget),
            elapsed_s=elapsed_s,
            remaining_s=remaining_s,
            notice=_notice(counts, candidate),
        )

    def summary(self) -> StudySummary:
        standing = self.ledger.standing()
        return StudySummary(
            counts=standing.counts,
            total=self._settings.num_trials,
            candidates=standing.candidates,
            elapsed_s=time.monotonic() - self._clock.started,
            stopped_early=self._stopped_early,
        )

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


@dataclass(frozen=True, slots=True)
class _Clock:
    """How fast the study goes since this process joined it."""

    started: float
    num_finished_before: int

    def read(self, num_finished: int, total: int) -> tuple[float, float]:
        elapsed_s = time.monotonic() - self.started
        num_new = max(1, num_finished - self.num_finished_before)
        return elapsed_s, elapsed_s / num_new * max(0, total - num_finished)


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
        _log.warning("scoring %s failed", architecture.key, exc_info=True)
        return CandidateScore(
            architecture=architecture.key,
            reward_name="none",
            error=f"{type(error).__name__}: {error}",
            seconds=time.monotonic() - started,
        )
    assert result.architecture == architecture.key, "a scorer answers for what it was asked"
    return result


def _best_reward(candidates: tuple[Candidate, ...], budget: Budget) -> float | None:
    scores = (candidate.score for candidate in candidates if candidate.is_scored)
    rewards = (score.reward for score in scores if budget.is_met_by(score))
    return max((reward for reward in rewards if reward is not None), default=None)


def _notice(counts: Counts, candidate: Candidate) -> str | None:
    if counts.failed + counts.unknown < counts.finished or counts.finished != FIRST_FAILURES:
        return None
    if counts.unknown:
        return (
            f"of none of the first {counts.finished} candidates is the cost known, so the search "
            f"will hardly find one; the latest: {'; '.join(candidate.score.unknown_reasons)}"
        )
    return (
        f"all of the first {counts.finished} candidates failed, so the fault is hardly theirs; "
        f"the latest said: {candidate.score.error}"
    )
