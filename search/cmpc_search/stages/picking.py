"""Which candidate of a run shall be trained and shipped? Its front, and the pick from it."""

from dataclasses import dataclass
from pathlib import Path

from cmpc_base.progress import SILENT, Observer
from cmpc_search.runs import RunFolder, read_pick, reopen_run, write_pick
from cmpc_search.runs.finals import Standing, read_standing
from cmpc_search.stages.run_material import search_settings_of
from cmpc_search.stages.settings import SearchSettings
from cmpc_search.study.front import pick
from cmpc_search.study.loop import load_candidates
from cmpc_search.study.records import Candidate
from cmpc_search.study.settings import Budget, CostName

__all__ = ["FIRST_PICK", "PickOrder", "PickResult", "run_pick"]

FIRST_PICK = "best"


@dataclass(frozen=True, kw_only=True, slots=True)
class PickOrder:
    """Which candidate to pick, and within what.

    Attributes:
        how: As in `cmpc_search.study.front.pick`; None leaves the pick, or takes the best where
            there is none yet.
        budget_ms, budget_mmacs: Limits in place of those of the search.
    """

    run_folder: Path
    how: str | None = None
    budget_ms: float | None = None
    budget_mmacs: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PickResult:
    """A run's candidates with their front, and the pick.

    Attributes:
        picked: The pick, which is kept in the run.
        proposed: What would be picked now; another one where the pick was left.
        how: How it was picked just now; None where it was left.
    """

    run: RunFolder
    cost: CostName
    budget: Budget
    standing: Standing
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
    searched = load_candidates(run.coordinator, on_notice=observer.notice)
    cost, budget = settings.cost, settings.budget
    standing = read_standing(run, searched, cost=cost, budget=budget)
    proposed = _proposed(standing, order.how or FIRST_PICK, cost, budget)
    picked = read_pick(run) if run.pick_path.exists() else None
    how = order.how
    if how is not None or picked is None:
        how, picked = how or FIRST_PICK, proposed
        write_pick(run, picked, how=how, cost=cost, budget=budget)
    return PickResult(
        run=run,
        cost=cost,
        budget=budget,
        standing=standing,
        picked=picked,
        proposed=proposed,
        how=how,
    )


def _proposed(standing: Standing, how: str, cost: CostName, budget: Budget) -> Candidate:
    """Return what ``how`` picks: a number any candidate, all else one that may be compared."""
    choice = standing.candidates if how.isdecimal() else standing.contenders
    return pick(choice, how, cost=cost, budget=budget)


def _within(settings: SearchSettings, order: PickOrder) -> SearchSettings:
    limits = {"budget_ms": order.budget_ms, "budget_mmacs": order.budget_mmacs}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    return settings.model_copy(update=given)
