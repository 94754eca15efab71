"""Search query networks that fit a gallery: an order in, the run with its front out.

    order --> material checked, run opened --> supernet trained or loaded
          --> candidates scored, each on its validation classes and for its cost
          --> finalists trained, the front measured together --> front

What is done already is not done again: the same order goes on where a killed process stopped, and
several processes may work on one run.
"""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cmpc_base.locks import exclusive
from cmpc_base.progress import SILENT, Observer
from cmpc_cost_models import Target
from cmpc_cost_models.models.base import CostModel
from cmpc_cost_models.targets.table import HOST, find_target
from cmpc_search.compatibility.making import make_method
from cmpc_search.data.image_set import SetCounts
from cmpc_search.errors import BadArgument, BudgetNotMet
from cmpc_search.gallery import open_gallery
from cmpc_search.networks.shared import Supernet
from cmpc_search.runs import RunFolder, note_session, open_run, set_aside, write_front, write_trials
from cmpc_search.runs.finals import Standing, read_standing
from cmpc_search.stages.costs import device_costs
from cmpc_search.stages.finals import measure_front, train_finalists
from cmpc_search.stages.material import SearchMaterial, load_material
from cmpc_search.stages.run_material import place_facts, space_facts, target_facts
from cmpc_search.stages.scoring import CandidateScorer
from cmpc_search.stages.settings import FREE_SETTINGS, SearchSettings, as_of_today
from cmpc_search.stages.supernet import has_supernet, load_supernet, make_supernet
from cmpc_search.stages.view_banks import make_view_bank
from cmpc_search.study.front import pick
from cmpc_search.study.loop import run_study
from cmpc_search.study.progress import StudySummary
from cmpc_search.study.records import Candidate

__all__ = [
    "SUPERNET_PART",
    "TRIALS_PART",
    "VIEWS_PART",
    "SearchOrder",
    "SearchResult",
    "obtain_supernet",
    "run_search",
    "with_gallery_data",
]

# What is told while these run; whoever runs more than a search knows its parts by them.
VIEWS_PART = "Embedding views with the gallery network"
SUPERNET_PART = "Training the supernet"
TRIALS_PART = "Searching"

OpenCosts = Callable[..., AbstractContextManager[CostModel | None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchOrder:
    """What to search, and where.

    Attributes:
        run_folder: Where the run is, or will be.
        gallery_folder: The gallery that query networks must fit.
        settings: Everything that decides the result.
        cache_dir: Where data, views and compiled networks are kept.
        target: What is compiled for; None is the target of that name in the settings. Where costs
            are counted, `host` need not be one.
        begins_again: Keep a run that is there aside, and begin anew.
    """

    run_folder: Path
    gallery_folder: Path
    settings: SearchSettings
    cache_dir: Path
    target: Target | None = None
    begins_again: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchResult:
    """What a search left when this process had nothing more to do.

    Attributes:
        standing: The candidates with all that is known of them, and their front.
        validation: On how much candidates were judged.
    """

    run: RunFolder
    settings: SearchSettings
    summary: StudySummary
    standing: Standing
    validation: SetCounts

    @property
    def front(self) -> tuple[Candidate, ...]:
        """The Pareto front within the budget, cheapest first."""
        return self.standing.front

    def best(self) -> Candidate:
        """Return the candidate with the highest reward within the budget, finalists first.

        Raises:
            BudgetNotMet, CostUnknown, NothingScored: no candidate will do, and why.
        """
        settings = self.settings
        return pick(self.standing.contenders, cost=settings.cost, budget=settings.budget)


def run_search(
    order: SearchOrder, cost_model: CostModel | None = None, observer: Observer = SILENT
) -> SearchResult:
    """Search until the run has as many scored candidates as its settings ask for.

    Args:
        cost_model: Tells the latency of each candidate, where the settings need one. Without it
            the device of the settings does, or this machine.

    Raises:
        BadArgument: the settings name no data, and the gallery knows of none.
        BadGallery: the gallery does not fit the data, or knows the classes that are to test.
        BadRun: the run was begun with other settings.
        BudgetNotMet: the smallest architecture takes more than the budget in MACs.
        DeviceUnreachable: the device does not answer.
        MachineFault: the machine refused what a candidate needs.
    """
    target = _target_of(order)
    settings = with_gallery_data(order.settings, order.gallery_folder, observer)
    material = _checked_material(order, settings, observer)
    if settings.needs_latency and cost_model is None:
        assert target is not None, "who needs a latency has a target"
        open_costs: OpenCosts = partial(
            device_costs, target, settings.device, cache_dir=order.cache_dir
        )
    else:
        open_costs = _given(cost_model)
    with open_costs(is_brief=True, observer=observer):
        pass  # it answers; training may take hours, and others want the device
    run = _open_run(order, material, target)
    supernet = obtain_supernet(run, material, observer)
    with open_costs(is_brief=True) as costs:
        scorer = CandidateScorer(supernet, material, costs, folder=run.candidates_path)
        summary = _score_candidates(run, material, scorer, observer)
    if not summary.counts.running:
        train_finalists(run, material, summary.candidates, observer)
        measure_front(run, material, summary.candidates, open_costs, observer)
    return _kept(run, material, summary)


def with_gallery_data(
    settings: SearchSettings, gallery_folder: Path, observer: Observer = SILENT
) -> SearchSettings:
    """Return the settings with the gallery's own data where nobody named other ones.

    Raises:
        BadArgument: the gallery doesn't know of any.
    """
    if "data" in settings.model_fields_set:
        return settings
    data = open_gallery(gallery_folder).data
    if data is None:
        raise BadArgument(
            f"the data set must be named with --data: {gallery_folder} was not trained by cmpc, "
            "and doesn't tell"
        )
    observer.notice(f"searching on the data of the gallery: {data}")
    return type(settings).model_validate(settings.model_dump() | {"data": data})


def check_feasible(material: SearchMaterial) -> None:
    """Let fail here what would fail after hours of training, or bind a run.

    Raises:
        UnknownName: no method has this name.
        BadArgument: the method needs what the gallery, its data or the batches don't have.
        BudgetNotMet: the smallest architecture takes more than the budget in MACs.
    """
    settings = material.settings
    trainings = [settings.supernet] + ([settings.finalist] if settings.finalists else [])
    make_method(
        settings.method,
        material.gallery_bank,
        settings.method_settings,
        views_per_item=min(one.views_per_item for one in trainings),
    )
    limit, space = settings.budget.macs, material.space
    least = space.macs(space.smallest())
    if limit is not None and least > limit:
        raise BudgetNotMet(
            f"an architecture must stay within {limit} MACs; the smallest of space "
            f"{space.name!r} takes {least}: raise the budget or take a smaller space"
        )


def obtain_supernet(
    run: RunFolder, material: SearchMaterial, observer: Observer = SILENT
) -> Supernet:
    """Load the supernet of a run, or train it; of several processes one trains."""
    doing = f"trains the supernet of {run.path}"
    lock_path = run.supernet_lock_path
    with exclusive(lock_path, doing=doing, on_wait=observer.notice):
        if has_supernet(run):
            return load_supernet(run, material)
        with observer.progress(VIEWS_PART) as steps:
            bank = make_view_bank(material, steps, observer.notice)
        with observer.progress(SUPERNET_PART) as steps:
            return make_supernet(run, material, bank, progress=steps)


def _given(cost_model: CostModel | None) -> OpenCosts:
    """Return what opens a cost model that is somebody else's to close."""

    def open_costs(**_: object) -> AbstractContextManager[CostModel | None]:
        return nullcontext(cost_model)

    return open_costs


def _checked_material(
    order: SearchOrder, settings: SearchSettings, observer: Observer
) -> SearchMaterial:
    with observer.progress(f"Preparing {settings.data}") as steps:
        material = load_material(
            settings,
            order.gallery_folder,
            cache_dir=order.cache_dir,
            progress=steps,
            on_notice=observer.notice,
        )
    check_feasible(material)
    observer.notice(material.note_on_validation())
    return material


def _target_of(order: SearchOrder) -> Target | None:
    """Return what networks are compiled for; None for a machine that is no target and needs none.

    Raises:
        UnknownTarget: there is none of this name, or latencies need a machine that is one.
    """
    if order.target is not None:
        return order.target
    if order.settings.target == HOST and not order.settings.needs_latency:
        return None
    return find_target(order.settings.target)


def _open_run(order: SearchOrder, material: SearchMaterial, target: Target | None) -> RunFolder:
    facts = place_facts(order.gallery_folder) | ({} if target is None else target_facts(target))
    if order.begins_again:
        set_aside(order.run_folder)
    run = open_run(
        order.run_folder,
        settings=material.settings.model_dump(mode="json"),
        inputs=material.hashes() | space_facts(material.settings) | facts,
        free=FREE_SETTINGS,
        meaning=as_of_today,
    )
    note_session(run, sys.argv)
    return run


def _score_candidates(
    run: RunFolder, material: SearchMaterial, scorer: CandidateScorer, observer: Observer
) -> StudySummary:
    with observer.progress(TRIALS_PART) as steps:
        return run_study(
            scorer,
            material.space,
            material.settings.study,
            coordinator=run.coordinator,
            on_trial=lambda trial: steps(trial.finished, trial.total, trial.describe()),
            on_notice=observer.notice,
        )


def _kept(run: RunFolder, material: SearchMaterial, summary: StudySummary) -> SearchResult:
    """Write the tables of a run, and return what is in them."""
    settings = material.settings
    cost, budget = settings.cost, settings.budget
    standing = read_standing(run, summary.candidates, cost=cost, budget=budget)
    pairs = zip(summary.candidates, standing.candidates, strict=True)
    trials = [replace(one, trained=known.trained) for one, known in pairs]
    write_trials(run, trials, budget=budget)  # with the latencies that the search saw
    write_front(run, standing.front, cost=cost, budget=budget)
    return SearchResult(
        run=run,
        settings=settings,
        summary=summary,
        standing=standing,
        validation=material.image_set.counts()["validation"],
    )
