"""What a search does before anything is called best: train a handful, and measure the front again.

    front of the search --> finalists --> each trained from its supernet weights, judged again
                       '--> all timed together, in turn, in a process of their own

Weights of a supernet are a guess at what a training of its own would make of an architecture, and
latencies that were measured minutes apart are of a machine in other moods. Both are kept as they
come: what a kill cuts off goes on with the finalist that was at work.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from cmpc_base.locks import exclusive
from cmpc_base.progress import Observer
from cmpc_cost_models.models.base import CostModel
from cmpc_search.runs import RunFolder
from cmpc_search.runs.finals import (
    read_standing,
    trained_score,
    write_front_costs,
    write_trained_score,
)
from cmpc_search.space.base import Architecture
from cmpc_search.stages.costs import with_measurement
from cmpc_search.stages.judging import ValidationJudge
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.stages.pick_training import QueryPlan, pick_plan
from cmpc_search.stages.seeds import Seed, parts_of
from cmpc_search.stages.settings import TrainSettings
from cmpc_search.stages.trained_picks import TrainedPick
from cmpc_search.stages.view_banks import make_view_bank
from cmpc_search.study.front import choose_finalists, pareto_front
from cmpc_search.study.records import Candidate, TrainedScore
from cmpc_search.study.rewards.catalogue import REWARDS

__all__ = ["FINALIST_PART", "FRONT_PART", "measure_front", "train_finalists"]

# What is told while these run.
FINALIST_PART = "Finalist"
FRONT_PART = "Measuring the front again"


def train_finalists(
    run: RunFolder,
    material: SearchMaterial,
    searched: Sequence[Candidate],
    observer: Observer,
) -> None:
    """Train and judge the finalists of a search that are not yet; of several processes one does."""
    settings = material.settings
    cost, budget = settings.cost, settings.budget
    # By what the search saw, which is the same whenever this is asked again.
    front = pareto_front(searched, cost=cost, budget=budget)
    feasible = [one for one in searched if budget.is_met_by(one.score)]
    finalists = choose_finalists(front, feasible, settings.finalists, cost=cost)
    doing = f"trains the finalists of {run.path}"
    with exclusive(run.train_lock_path, doing=doing, on_wait=observer.notice):
        keys = [one.score.architecture for one in finalists]
        waiting = [key for key in keys if trained_score(run, key) is None]
        for number, key in enumerate(waiting, start=len(keys) - len(waiting) + 1):
            name = f"{FINALIST_PART} {number} of {len(keys)}"
            _train_finalist(run, material, material.space.read(key), name, observer)


def measure_front(
    run: RunFolder,
    material: SearchMaterial,
    searched: Sequence[Candidate],
    open_costs: Callable[[], AbstractContextManager[CostModel | None]],
    observer: Observer,
) -> None:
    """Measure the front and the finalists together, unless that is done; predictions stay."""
    cost, budget = material.settings.cost, material.settings.budget
    standing = read_standing(run, searched, cost=cost, budget=budget)
    if standing.is_measured_together or not any(map(_is_measured, standing.front)):
        return
    known = {one.number: one for one in (*standing.front, *standing.finalists)}
    chosen = sorted(known.values(), key=lambda one: one.number)
    paths = [run.candidates_path / f"{one.score.architecture}.onnx" for one in chosen]
    with observer.progress(FRONT_PART), open_costs() as costs:
        observer.notice(f"measuring the front again, {len(chosen)} candidates together")
        assert costs is not None, "who measured latencies has a cost model"
        measured = costs.measure_interleaved(paths)
    pairs = zip(chosen, measured, strict=True)
    write_front_costs(
        run, [replace(one, score=with_measurement(one.score, found)) for one, found in pairs]
    )


def _is_measured(candidate: Candidate) -> bool:
    return (candidate.score.latency or {}).get("source") == "measured"


def _train_finalist(
    run: RunFolder,
    material: SearchMaterial,
    architecture: Architecture,
    name: str,
    observer: Observer,
) -> None:
    plan = _plan(run, material, architecture)
    if plan.found() is None:
        with observer.progress(f"{name}: embedding views with the gallery network") as steps:
            views = make_view_bank(material, steps, observer.notice, architecture=architecture)
        with observer.progress(f"{name}: training") as steps:
            plan.train(views, steps)
    write_trained_score(run, architecture.key, _judged(material, plan))


def _plan(run: RunFolder, material: SearchMaterial, architecture: Architecture) -> QueryPlan:
    parts = parts_of(run, material, Seed(number=0))
    settings = TrainSettings(pick=material.settings.finalist)
    plan = pick_plan(run, parts, architecture, settings)
    return replace(plan, pick=TrainedPick(run.finalist_path(architecture.key)))


def _judged(material: SearchMaterial, plan: QueryPlan) -> TrainedScore:
    network = plan.pick.load(material)
    facts = ValidationJudge(material).facts(network)
    return TrainedScore(
        num_steps=plan.training.num_steps,
        homogeneous=facts.homogeneous,
        heterogeneous=facts.heterogeneous,
        cosine=facts.cosine,
        reward=REWARDS.load(material.settings.reward)(facts),
    )
