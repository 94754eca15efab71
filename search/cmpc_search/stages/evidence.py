"""Is what the search found better than anything simple? On test classes, after a pick is trained.

    the pick, and each baseline --trained alike--> judged on the test queries --+--> rows
    the gallery network on both sides ------------------------------------------'

Each is trained by the same stages for as many steps, from the views of the same seeds. What is
trained is kept, network by network: a killed run goes on with the one that was at work. One that
can't be trained is a row that says why.

    RUN/evidence.json    what `run_evidence` found

Nothing that chooses a network or a default may read what is found here.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from cmpc_base.locks import exclusive
from cmpc_base.progress import SILENT, Observer
from cmpc_search.errors import BadRun
from cmpc_search.json_records import first_complaint
from cmpc_search.runs import RunFolder, reopen_run
from cmpc_search.runs.evidence import Evidence, write_evidence
from cmpc_search.stages.baselines.base import Contest
from cmpc_search.stages.baselines.catalogue import BASELINES
from cmpc_search.stages.baselines.in_space import the_pick
from cmpc_search.stages.match import Failures, Match
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.stages.rank_correlation import ANEW, RankCorrelationOrder, run_rank_correlation
from cmpc_search.stages.run_material import load_run_material
from cmpc_search.stages.seeds import Seed, parts_of
from cmpc_search.stages.trained_picks import TrainedPick, picked_architecture, trained_picks
from cmpc_search.training.settings import PickTraining

__all__ = ["EvidenceOrder", "run_evidence"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EvidenceOrder:
    """What to hold against the pick of a run.

    Attributes:
        rows: Names in `BASELINES`; the pick and the paragon are always there.
        num_random: How many random architectures.
        num_seeds: How often each network is trained; None: with the seeds of the pick.
        num_steps: Of each training; None: as many as the pick's.
        num_ranked: Of how many architectures the search's order is held against that of trainings
            of their own, see `run_rank_correlation`; 0: not at all.
        gallery_folder, data: Where they are now; None is where the search read them.
    """

    run_folder: Path
    cache_dir: Path
    rows: tuple[str, ...] = tuple(BASELINES)
    num_random: int = 5
    num_seeds: int | None = None
    num_steps: int | None = None
    num_ranked: int = 0
    gallery_folder: Path | None = None
    data: str | None = None


def run_evidence(order: EvidenceOrder, observer: Observer = SILENT) -> Evidence:
    """Train what is not trained yet, judge all, and keep evidence.json in the run.

    Raises:
        BadRun: no pick is trained, the pick can't be trained further, or gallery or data are not
            those of the search.
        UnknownName: there is no such baseline.
    """
    makers = [BASELINES.load(name) for name in order.rows]
    run = reopen_run(order.run_folder)
    material = load_run_material(
        run,
        order.gallery_folder,
        cache_dir=order.cache_dir,
        data=order.data,
        on_notice=observer.notice,
    )
    match = _match_of(run, material, order, observer)
    contest = match.contest
    contenders = [the_pick(contest), *(one for make in makers for one in make(contest))]
    failures: Failures = {}
    doing = f"trains in {run.path}"
    with exclusive(run.train_lock_path, doing=doing, on_wait=observer.notice):
        match.train(contenders, failures)
    found = match.judged(contenders, failures)
    if order.num_ranked:
        found = _with_reward_tau(found, order, material, observer)
    write_evidence(run, found)
    return found


def _match_of(
    run: RunFolder, material: SearchMaterial, order: EvidenceOrder, observer: Observer
) -> Match:
    architecture = picked_architecture(run)
    trained = trained_picks(run, architecture)
    contest = Contest(
        material=material,
        architecture=architecture,
        training=_training_of(trained[0], order.num_steps),
        num_random=order.num_random,
    )
    numbers = tuple(pick.seed for pick in trained)
    if order.num_seeds is not None:
        numbers = tuple(range(order.num_seeds))
    return Match(
        run=run,
        contest=contest,
        seeds=tuple(parts_of(run, material, Seed(number=number)) for number in numbers),
        is_as_picked=contest.training.model_dump() == trained[0].training,
        observer=observer,
    )


def _training_of(pick: TrainedPick, num_steps: int | None) -> PickTraining:
    changed = {} if num_steps is None else {"num_steps": num_steps}
    try:
        return PickTraining.model_validate(pick.training | changed)
    except ValidationError as error:
        raise BadRun(
            f"{pick.facts_path} must say how it was trained in the words of this version of cmpc; "
            f"{first_complaint(error)}"
        ) from error


def _with_reward_tau(
    found: Evidence, order: EvidenceOrder, material: SearchMaterial, observer: Observer
) -> Evidence:
    """Add how the search's own reward orders architectures, on validation classes."""
    training = ANEW
    if order.num_steps is not None:
        training = ANEW.model_copy(update={"num_steps": order.num_steps})
    ranked = run_rank_correlation(
        RankCorrelationOrder(
            run_folder=order.run_folder,
            cache_dir=order.cache_dir,
            training=training,
            num_architectures=order.num_ranked,
            gallery_folder=order.gallery_folder,
            data=order.data,
        ),
        observer,
    )
    settings = material.settings
    tau = next(
        one.tau
        for one in ranked.taus
        if (one.score, one.against) == (settings.reward_name, settings.metric)
    )
    return replace(found, reward_tau=tau, num_ranked=len(ranked.architectures))
