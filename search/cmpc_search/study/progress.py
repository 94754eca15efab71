"""What a running study tells whoever watches it, and what it says at its end."""

from dataclasses import dataclass

from cmpc_base.units import MMAC
from cmpc_search.study.records import Candidate

__all__ = ["Counts", "StudySummary", "TrialProgress"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Where a study stands.

    Attributes:
        finished: Candidates with a recorded result, failed ones included.
        feasible: Those that were scored and stay within the budget.
        failed: Those whose result is an error.
        unknown: Those with nothing wrong, whose cost nobody can tell.
        reused: Proposals of an architecture already known; its result stands and none of these
            was scored again or counts as finished.
        over_budget: Proposals turned down before scoring for their MACs.
        running: Candidates that live processes score at this moment.
    """

    finished: int
    feasible: int
    failed: int
    reused: int
    over_budget: int
    running: int
    unknown: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialProgress:
    """Sent after each candidate.

    Attributes:
        finished: Candidates with a recorded result when this one was begun, those of other
            processes included, and this one.
        candidate: The one just finished.
        best_reward: The highest reward within the budget so far, or None.
        over_budget: Proposals turned down so far, before scoring, for their MACs.
    """

    finished: int
    total: int
    candidate: Candidate
    best_reward: float | None
    over_budget: int = 0

    def describe(self) -> str:
        """Tell in a few words what came of the candidate."""
        score = self.candidate.score
        if score.error is not None:
            return f"failed: {score.error}"
        if score.unknown_reasons:
            return f"its cost is not known: {'; '.join(score.unknown_reasons)}"
        cost = "MACs not counted" if score.macs is None else f"{score.macs / MMAC:.4g} MMAC"
        if score.latency is not None:
            cost = f"{score.latency_ms:.3f} ms {score.latency['source']}"
        best = "" if self.best_reward is None else f", best {self.best_reward:.3f}"
        over = f", {self.over_budget} drawn over the budget" if self.over_budget else ""
        return f"{score.reward_name} {score.reward:.3f} at {cost}{best}{over}"


@dataclass(frozen=True, kw_only=True, slots=True)
class StudySummary:
    """What a process leaves behind when it has nothing more to do.

    Attributes:
        candidates: Everything recorded in the study, by trial number.
        stopped_early: Why fewer than asked for are finished although nobody is at work, or None.
    """

    counts: Counts
    candidates: tuple[Candidate, ...]
    stopped_early: str | None = None
