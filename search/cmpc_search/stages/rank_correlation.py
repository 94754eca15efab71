"""Does a score of the search order architectures as trainings of their own do?

    architectures spread over MACs --+--> slices of the supernet, judged --> each reward
                                     '--> each trained on its own, judged --> accuracies
                                      Kendall's tau between the two, on validation classes

A search can't choose better than its score orders. So a reward is made the default by its tau, and
test classes are not looked at. What is trained and judged is kept, architecture by architecture: a
killed run goes on with the one that was at work.

    RUN/rank_correlation/TRAINING/ARCHITECTURE/judged.json
    RUN/rank_correlation.json                                  what `run_rank_correlation` found
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from cmpc_base.hashing import document_hash
from cmpc_base.json_files import write_json
from cmpc_base.locks import exclusive
from cmpc_base.progress import SILENT, Observer
from cmpc_search.errors import BadRun
from cmpc_search.evaluation.statistics import Estimate, kendall_tau
from cmpc_search.json_records import read_record
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.networks.shared import Supernet
from cmpc_search.runs import RunFolder, reopen_run
from cmpc_search.space.base import Architecture
from cmpc_search.stages.judging import ValidationJudge
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.stages.pick_training import pick_plan
from cmpc_search.stages.run_material import load_run_material
from cmpc_search.stages.seeds import Seed, parts_of
from cmpc_search.stages.settings import TrainSettings
from cmpc_search.stages.supernet import load_supernet
from cmpc_search.stages.trained_picks import TrainedPick
from cmpc_search.stages.view_banks import make_view_bank
from cmpc_search.study.rewards.base import Metric, RewardFacts
from cmpc_search.study.rewards.catalogue import ACCURACY_REWARDS, REWARDS
from cmpc_search.study.spread import spread_architectures
from cmpc_search.training.recalibration import clean_images, rebuild_batch_norms
from cmpc_search.training.settings import PickTraining

__all__ = [
    "JudgedTwice",
    "RankCorrelation",
    "RankCorrelationOrder",
    "Tau",
    "run_rank_correlation",
    "taus_of",
]

SCHEMA_VERSION = 1
METRICS: tuple[Metric, ...] = get_args(Metric)
ANEW = PickTraining(num_steps=600, from_supernet=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class RankCorrelationOrder:
    """Whose score to hold against which training.

    Attributes:
        run_folder: A run whose supernet is trained.
        training: How each architecture is trained on its own.
        num_architectures: How many, spread over the MACs of the space within the run's budget.
        gallery_folder, data: Where they are now; None is where the search read them.
    """

    run_folder: Path
    cache_dir: Path
    training: PickTraining = ANEW
    num_architectures: int = 16
    gallery_folder: Path | None = None
    data: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedTwice:
    """One architecture, judged with weights of the supernet and with those of its own training."""

    architecture: str
    macs: int
    supernet: RewardFacts
    trained: RewardFacts


@dataclass(frozen=True, kw_only=True, slots=True)
class Tau:
    """How a score orders architectures.

    Attributes:
        score: A reward in the supernet, with its metric where it has one, such as "product map".
        against: The accuracy M(q, g) after a training of its own, such as "map".
    """

    score: str
    against: str
    tau: Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class RankCorrelation:
    """What `run_rank_correlation` found."""

    training: PickTraining
    architectures: tuple[JudgedTwice, ...]
    taus: tuple[Tau, ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "training": self.training.model_dump(mode="json"),
            "architectures": [asdict(one) for one in self.architectures],
            "taus": [asdict(one) for one in self.taus],
        }


def run_rank_correlation(
    order: RankCorrelationOrder, observer: Observer = SILENT
) -> RankCorrelation:
    """Train and judge what is not yet, and keep rank_correlation.json in the run.

    Raises:
        BadArgument: fewer than two architectures are asked for.
        BadRun: there is no run, its supernet is not trained, or its gallery or data are others.
    """
    run = reopen_run(order.run_folder)
    material = load_run_material(
        run,
        order.gallery_folder,
        cache_dir=order.cache_dir,
        data=order.data,
        on_notice=observer.notice,
    )
    budget = material.settings.budget
    chosen = spread_architectures(material.space, order.num_architectures, max_macs=budget.macs)
    doing = f"trains in {run.path}"
    with exclusive(run.train_lock_path, doing=doing, on_wait=observer.notice):
        judged = _judged(run, material, chosen, order.training, observer)
    found = RankCorrelation(training=order.training, architectures=judged, taus=taus_of(judged))
    write_json(run.path / "rank_correlation.json", found.to_json())
    return found


def taus_of(judged: tuple[JudgedTwice, ...]) -> tuple[Tau, ...]:
    """Return the tau of each reward and metric against each accuracy, the best score first."""
    truths = {
        metric: np.array([replace(one.trained, metric=metric).across for one in judged])
        for metric in METRICS
    }
    found = [
        Tau(score=name, against=metric, tau=kendall_tau(values, truths[metric]))
        for name, values in _scores(judged)
        for metric in METRICS
    ]
    return tuple(sorted(found, key=lambda one: (one.against, -one.tau.value)))


def _scores(judged: tuple[JudgedTwice, ...]) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Yield each reward by its name, with each metric where it is of one."""
    for name in REWARDS:
        reward = REWARDS.load(name)
        for metric in METRICS if name in ACCURACY_REWARDS else METRICS[:1]:
            values = [reward(replace(one.supernet, metric=metric)) for one in judged]
            yield f"{name} {metric}" if name in ACCURACY_REWARDS else name, np.array(values)


def _judged(
    run: RunFolder,
    material: SearchMaterial,
    architectures: tuple[Architecture, ...],
    training: PickTraining,
    observer: Observer,
) -> tuple[JudgedTwice, ...]:
    folder = run.path / "rank_correlation" / document_hash(training.model_dump(mode="json"))[:12]
    trainee = _Trainee(run, material, load_supernet(run, material), training)
    judged = []
    with observer.progress("Training architectures on their own") as steps:
        for number, architecture in enumerate(architectures, start=1):
            path = folder / architecture.key / "judged.json"
            if not path.exists():
                write_json(path, asdict(trainee.judged_twice(architecture, path.parent)))
            judged.append(read_record(path, JudgedTwice, error=BadRun))
            steps(number, len(architectures))
    return tuple(judged)


class _Trainee:
    """Trains and judges architectures of one run."""

    def __init__(
        self, run: RunFolder, material: SearchMaterial, supernet: Supernet, training: PickTraining
    ) -> None:
        self._run, self._material, self._supernet = run, material, supernet
        self._settings = TrainSettings(pick=training)
        self._judge = ValidationJudge(material)

    def judged_twice(self, architecture: Architecture, folder: Path) -> JudgedTwice:
        """Judge the slice of the supernet, and the network that is trained in ``folder``."""
        parts = parts_of(self._run, self._material, Seed(number=0))
        plan = pick_plan(self._run, parts, architecture, self._settings)
        plan = replace(plan, pick=TrainedPick(folder))
        if plan.found() is None:
            plan.train(make_view_bank(self._material, architecture=architecture))
        return JudgedTwice(
            architecture=architecture.key,
            macs=self._material.space.macs(architecture),
            supernet=self._facts(self._supernet.extract(architecture)),
            trained=self._facts(plan.pick.load(self._material)),
        )

    def _facts(self, network: PlanNetwork) -> RewardFacts:
        images = clean_images(self._material.images_at(network.plan.image.size_px))
        rebuild_batch_norms(network, images)
        return self._judge.facts(network)
