"""Is what the search found better than anything simple? On test classes, after a pick is trained.

    the pick, and each baseline --trained alike--> judged on the test queries --+--> rows
    the gallery network on both sides ------------------------------------------'

Each is trained by the same stages for as many steps, from the views of the same seeds. What is
trained is kept, network by network: a killed run goes on with the one that was at work. One that
can't be trained is a row that says why.

    RUN/baselines/TRAINING/BASELINE/NETWORK/seed-0/    as trained picks are kept
    RUN/evidence.json                                  what `run_evidence` found

Nothing that chooses a network or a default may read what is found here.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from cmpc_base.errors import CmpcError
from cmpc_base.hashing import document_hash
from cmpc_base.locks import exclusive
from cmpc_base.printable import printable
from cmpc_base.progress import SILENT, Observer, Progress
from cmpc_cost_models.graphs.counting import count_network
from cmpc_search.errors import BadRun
from cmpc_search.evaluation.judgement import judge
from cmpc_search.json_records import first_complaint
from cmpc_search.runs import RunFolder, reopen_run
from cmpc_search.runs.evidence import Evidence, write_evidence
from cmpc_search.space.base import Architecture
from cmpc_search.stages.baselines.base import Baseline, Contest
from cmpc_search.stages.baselines.catalogue import BASELINES
from cmpc_search.stages.baselines.in_space import PICK, the_pick
from cmpc_search.stages.comparing import Contender, compared, failed_row, paragon_row
from cmpc_search.stages.evaluating import result_of
from cmpc_search.stages.material import SearchMaterial, load_run_material
from cmpc_search.stages.pick_training import QueryPlan
from cmpc_search.stages.rank_correlation import ANEW, RankCorrelationOrder, run_rank_correlation
from cmpc_search.stages.scored_queries import scored_queries
from cmpc_search.stages.seeds import Seed, SeedParts, parts_of
from cmpc_search.stages.trained_picks import TrainedPick, picked_architecture, trained_picks
from cmpc_search.stages.training import prepare_supernet
from cmpc_search.stages.view_banks import make_view_bank
from cmpc_search.training.settings import PickTraining
from cmpc_search.training.view_bank import ViewBank

__all__ = ["EvidenceOrder", "run_evidence"]

Failures = dict[Baseline, CmpcError]


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
) -> "_Match":
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
    return _Match(
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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Match:
    """The pick and who is held against it, each trained from the parts of the same seeds.

    Attributes:
        is_as_picked: Whether the pick is trained for this as `cmpc train` trained it.
    """

    run: RunFolder
    contest: Contest
    seeds: tuple[SeedParts, ...]
    is_as_picked: bool
    observer: Observer

    def train(self, contenders: Sequence[Baseline], failures: Failures) -> None:
        """Train who is not yet, and add who could not be.

        Raises:
            CmpcError: the pick could not be.
        """
        for parts in self.seeds:
            work: dict[Baseline, QueryPlan] = {}
            for one in contenders:
                with self._noting(one, failures):
                    plan = self._plan(one, parts)
                    if one not in failures and plan.found() is None:
                        work[one] = plan
            if work:
                self._train_all(work, parts, failures)

    def judged(self, contenders: Sequence[Baseline], failures: Failures) -> Evidence:
        """Judge who is trained, on the test classes, and add who could not be.

        Raises:
            CmpcError: the pick could not be.
        """
        found = []
        for one in contenders:
            with self._noting(one, failures):
                if one not in failures:
                    found.append(self._contender(one))
        pick, *others = found
        first, *rows = compared(pick, others)
        failed = [failed_row(one, error) for one, error in failures.items()]
        material = self.contest.material
        judgement = judge(pick.results)
        return Evidence(
            run=printable(self.run.path),
            architecture=self.contest.architecture.key,
            seen_classes=material.seen_classes,
            queries=scored_queries(material.image_set, pick.results[0].paragon.ranks),
            num_steps=self.contest.training.num_steps,
            seeds=tuple(parts.seed.number for parts in self.seeds),
            kept_share=judgement.kept_share,
            advantage=judgement.advantage,
            rows=(first, paragon_row(pick, self._gallery_macs), *rows, *failed),
            reward=material.settings.reward_name,
        )

    def _train_all(
        self, work: Mapping[Baseline, QueryPlan], parts: SeedParts, failures: Failures
    ) -> None:
        """Train one after the other from the same views, and tell the time that all will take."""
        seed = f"Seed {parts.seed.number}"
        with self.observer.progress(f"{seed}: embedding views with the gallery network") as steps:
            views = self._views(parts, self.contest.architecture, steps)
        prepare_supernet(parts, self.observer)
        num_steps = self.contest.training.num_steps
        with self.observer.progress(f"{seed}: training {len(work)} networks to compare") as steps:
            for position, one in enumerate(sorted(work, key=self._size_px)):
                if self._size_px(one) != views.maker.size_px:
                    views = self._views(parts, one.architecture)
                tell = partial(_tell, steps, one.name, position * num_steps, len(work) * num_steps)
                with self._noting(one, failures):
                    work[one].train(views, tell)

    def _size_px(self, one: Baseline) -> int:
        return self.contest.material.space.plan(one.architecture).input_size_px

    def _views(
        self, parts: SeedParts, architecture: Architecture, progress: Progress | None = None
    ) -> ViewBank:
        """Return the views of a seed as large as an architecture reads them."""
        notice = self.observer.notice
        return make_view_bank(parts.material, progress, notice, architecture=architecture)

    @contextmanager
    def _noting(self, one: Baseline, failures: Failures) -> Iterator[None]:
        """Let the others go on when a baseline fails; without the pick there is no answer."""
        try:
            yield
        except CmpcError as error:
            if one.row == PICK:
                raise
            failures[one] = error
            self.observer.notice(f"{one.name} is left out: {error}")

    def _plan(self, one: Baseline, parts: SeedParts) -> QueryPlan:
        plan = one.query_plan(self.run, parts, self.contest.training)
        if one.row == PICK and self.is_as_picked:
            return plan  # where `cmpc train` keeps it
        alike = document_hash(self.contest.training.model_dump(mode="json"))[:12]
        folder = self.run.baselines_path / alike / one.row / one.key / f"seed-{parts.seed.name}"
        return replace(plan, pick=TrainedPick(folder))

    def _contender(self, one: Baseline) -> Contender:
        network_plan = one.network_plan(self.contest.material)
        trained = [self._plan(one, parts).pick for parts in self.seeds]
        return Contender(
            baseline=one,
            macs=count_network(trained[0].onnx_path).macs,
            results=tuple(
                result_of(pick.load_as(network_plan), parts.material, seed=parts.seed.number)
                for pick, parts in zip(trained, self.seeds, strict=True)
            ),
        )

    @property
    def _gallery_macs(self) -> int | None:
        path = self.contest.material.gallery.onnx_path
        return None if path is None else count_network(path).macs


def _tell(
    steps: Progress, name: str, before: int, total: int, num_done: int, _: int, note: str = ""
) -> None:
    """Tell of the steps of one network as of some of all."""
    steps(before + num_done, total, note or name)
