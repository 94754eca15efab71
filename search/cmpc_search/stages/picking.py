"""Which candidate of a run shall be trained and shipped? Its front, and the pick from it."""

from dataclasses import dataclass
from pathlib import Path

from cmpc_base.progress import SILENT, Observer
from cmpc_search.runs import RunFolder, read_pick, reopen_run, write_pick
from cmpc_search.stages.material import search_settings_of
from cmpc_search.stages.settings import SearchSettings
from cmpc_search.study.front import pareto_front, pick
from cmpc_search.study.loop import load_candidates
from cmpc_search.study.records import Candidate
from cmpc_search.study.settings import Budget, CostName

__all__ = ["FIRST_PICK", "PickOrder", "PickResult", "run_pick"]

FIRST_PICK = "best"


@dataclass(frozen=True, kw_only=True, slots=True)
class PickOrder:
    """Which candidate to pick, and within what.

    Attributes:
        how: A name in `cmpc_search.study.PICKS`, or a trial's number; None leaves the pick, or
            takes the best where there is none yet.
        budget_ms, budget_mmacs: Limits in place of those of the search.
    """

    run_folder: Path
    how: str | None = None
    budget_ms: float | None = None
    budget_mmacs: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PickResult:
    """A run's candidates, its front, and the pick.

    Attributes:
        picked: The pick, which is kept in the run.
        proposed: What would be picked now; another one where the pick was left.
        how: How it was picked just now; None where it was left.
    """

    run: RunFolder
    cost: CostName
    budget: Budget
    candidates: tuple[Candidate, ...]
    front: tuple[Candidate, ...]
    picked: Candidate
    proposed: Candidate
    how: str | None


def run_pick(order: PickOrder, observer: Observer = SILENT) -> PickResult:
    """Look at a run's front and, where it is asked for, pick a candidate.

    Raises:
        BadArgument: no candidate has that number, or there is no such way to pick.
        BadRun: there is no run, or no study in it.
        BudgetNotMet, CostUnknown, NothingScored: no candidate will do.
    """
    run = reopen_run(order.run_folder)
    settings = _within(search_settings_of(run), order)
    candidates = load_candidates(run.coordinator, on_notice=observer.notice)
    cost, budget = settings.cost, settings.budget
    front = pareto_front(candidates, cost=cost, budget=budget)
    proposed = pick(candidates, order.how or FIRST_PICK, cost=cost, budget=budget)
    picked = read_pick(run) if run.pick_path.exists() else None
    how = order.how
    if how is not None or picked is None:
        how, picked = how or FIRST_PICK, proposed
        write_pick(run, picked, how=how, cost=cost, budget=budget)
    return PickResult(
        run=run,
        cost=cost,
        budget=budget,
        candidates=candidates,
        front=tuple(front),
        picked=picked,
        proposed=proposed,
        how=how,
    )


def _within(settings: SearchSettings, order: PickOrder) -> SearchSettings:
    limits = {"budget_ms": order.budget_ms, "budget_mmacs": order.budget_mmacs}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    return settings.model_copy(update=given)
