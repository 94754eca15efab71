"""Train the pick of a run and its baselines alike, seed by seed, and judge all on the test classes.

    RUN/baselines/TRAINING/BASELINE/NETWORK/seed-0/    as trained picks are kept

A pick that is trained as `cmpc train` trained it stays where that keeps it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from cmpc_base.errors import CmpcError
from cmpc_base.hashing import document_hash
from cmpc_base.printable import printable
from cmpc_base.progress import Observer, Progress
from cmpc_cost_models.graphs.counting import count_network
from cmpc_search.evaluation.judgement import judge
from cmpc_search.runs import RunFolder
from cmpc_search.runs.evidence import Evidence
from cmpc_search.space.base import Architecture
from cmpc_search.stages.baselines.base import Baseline, Contest
from cmpc_search.stages.baselines.in_space import PICK
from cmpc_search.stages.comparing import Contender, compared, failed_row, paragon_row
from cmpc_search.stages.pick_training import QueryPlan
from cmpc_search.stages.scored_queries import scored_queries
from cmpc_search.stages.seed_results import result_of
from cmpc_search.stages.seeds import SeedParts
from cmpc_search.stages.trained_picks import TrainedPick
from cmpc_search.stages.training import prepare_supernet
from cmpc_search.stages.view_banks import make_view_bank
from cmpc_search.training.view_bank import ViewBank

__all__ = ["Failures", "Match"]

Failures = dict[Baseline, CmpcError]


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
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
            for one in [one for one in contenders if one not in failures]:
                with self._noting(one, failures):
                    plan = self._plan(one, parts)
                    if plan.found() is None:
                        work[one] = plan
            if work:
                self._train_all(work, parts, failures)

    def judged(self, contenders: Sequence[Baseline], failures: Failures) -> Evidence:
        """Judge who is trained, on the test classes, and add who could not be.

        Raises:
            CmpcError: the pick could not be.
        """
        found = []
        for one in [one for one in contenders if one not in failures]:
            with self._noting(one, failures):
                found.append(self._contender(one))
        return self._evidence(found[0], found[1:], failures)

    def _evidence(
        self, pick: Contender, others: Sequence[Contender], failures: Failures
    ) -> Evidence:
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
        # Size by size, that of the pick first: views are made anew for each.
        by_size = sorted(work, key=partial(self._size_order, views.maker.size_px))
        num_steps = self.contest.training.num_steps
        with self.observer.progress(f"{seed}: training {len(work)} networks to compare") as steps:
            for position, one in enumerate(by_size):
                if self._size_px(one) != views.maker.size_px:
                    views = self._views(parts, one.architecture)
                tell = partial(_tell, steps, one.name, position * num_steps, len(work) * num_steps)
                with self._noting(one, failures):
                    work[one].train(views, tell)

    def _size_order(self, first_px: int, one: Baseline) -> tuple[bool, int]:
        size_px = self._size_px(one)
        return size_px != first_px, size_px

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
