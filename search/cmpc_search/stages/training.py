"""Train the picked architecture on its own: an order in, the trained networks out.

With several seeds, one after the other, and a control beside them. Each part (gallery network,
views, supernet, pick) is kept as soon as it is whole: a run that was killed goes on with the part
that was at work.
"""

from dataclasses import dataclass
from pathlib import Path

from cmpc_base.locks import exclusive
from cmpc_base.progress import SILENT, Observer, Progress
from cmpc_search.runs import RunFolder, reopen_run
from cmpc_search.space.base import Architecture
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.stages.pick_training import control_plan, pick_plan
from cmpc_search.stages.picking import PickOrder, run_pick
from cmpc_search.stages.run_material import load_run_material
from cmpc_search.stages.seeds import (
    Seed,
    SeedParts,
    check_new_galleries,
    make_new_gallery,
    parts_of,
)
from cmpc_search.stages.settings import TrainSettings
from cmpc_search.stages.supernet import has_supernet, make_supernet
from cmpc_search.stages.trained_picks import TrainedPick, picked_architecture
from cmpc_search.stages.view_banks import make_view_bank
from cmpc_search.training.view_bank import ViewBank

__all__ = ["PickTrainer", "TrainOrder", "TrainResult", "prepare_supernet", "run_training"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainOrder:
    """What to train of a run.

    Attributes:
        how: Pick anew, see `PickOrder`; None trains the present pick.
        num_seeds: How many times to train, each from views and a supernet of its own.
        has_new_galleries: Train a gallery network, too, for each seed after the first.
        gallery_folder, data: Where they are now; None is where the search read them.
    """

    run_folder: Path
    settings: TrainSettings
    cache_dir: Path
    how: str | None = None
    num_seeds: int = 1
    has_new_galleries: bool = False
    gallery_folder: Path | None = None
    data: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainResult:
    """The trained networks, by seed, and the control behind them if one was asked for."""

    run: RunFolder
    architecture: Architecture
    trained: tuple[TrainedPick, ...]


def run_training(order: TrainOrder, observer: Observer = SILENT) -> TrainResult:
    """Train what is not trained yet; of several processes one trains in a run.

    Raises:
        BadGallery: new gallery networks are asked for, and the run's is not cmpc's own.
        BadRun: nothing was picked yet, or data or gallery are not those of the search.
    """
    run = reopen_run(order.run_folder)
    material = load_run_material(
        run,
        cache_dir=order.cache_dir,
        gallery_path=order.gallery_folder,
        data=order.data,
        on_notice=observer.notice,
    )
    if order.has_new_galleries:
        check_new_galleries(material.gallery)
    doing = f"trains in {run.path}"
    with exclusive(run.train_lock_path, doing=doing, on_wait=observer.notice):
        if order.how is not None:
            run_pick(PickOrder(run_folder=run.path, how=order.how), observer)
        return _trained(run, material, order, observer)


def _trained(
    run: RunFolder, material: SearchMaterial, order: TrainOrder, observer: Observer
) -> TrainResult:
    architecture = picked_architecture(run)
    trainer = PickTrainer(
        run=run,
        material=material,
        architecture=architecture,
        settings=order.settings,
        observer=observer,
    )
    seeds = [
        Seed(number=number, has_new_gallery=order.has_new_galleries and number > 0)
        for number in range(order.num_seeds)
    ]
    trained = [trainer.train(seed) for seed in seeds]
    if order.settings.control_steps:
        trained.append(trainer.train_control())
    return TrainResult(run=run, architecture=architecture, trained=tuple(trained))


@dataclass(frozen=True, kw_only=True, slots=True)
class PickTrainer:
    """Trains one architecture of a run, unless it is trained already."""

    run: RunFolder
    material: SearchMaterial
    architecture: Architecture
    settings: TrainSettings
    observer: Observer

    def train(self, seed: Seed) -> TrainedPick:
        """Train with one seed from all parts of that seed.

        Raises:
            BadGallery: a new gallery network is asked for, and the run's is not cmpc's own.
            BadRun: the run has no supernet yet, or a checkpoint is damaged.
        """
        name = f"Seed {seed.number}"
        if seed.has_new_gallery:
            with self.observer.progress(f"{name}: training a gallery network") as steps:
                make_new_gallery(self.run, self.material, seed, steps)
        parts = parts_of(self.run, self.material, seed)
        plan = pick_plan(self.run, parts, self.architecture, self.settings)
        if (found := plan.found()) is not None:
            return found
        with self.observer.progress(f"{name}: embedding views with the gallery network") as steps:
            views = self._views(parts.material, steps)
        prepare_supernet(parts, self.observer)
        with self.observer.progress(f"{name}: training the pick") as steps:
            return plan.train(views, steps)

    def train_control(self) -> TrainedPick:
        """Train the control, which never meets the gallery."""
        plan = control_plan(self.run, self.material, self.architecture, self.settings)
        if (found := plan.found()) is not None:
            return found
        with self.observer.progress("Control: embedding views with the gallery network") as steps:
            views = self._views(self.material, steps)
        with self.observer.progress("Control: training without the gallery") as steps:
            return plan.train(views, steps)

    def _views(self, material: SearchMaterial, progress: Progress) -> ViewBank:
        """Return the views of a seed, as large as the architecture reads them."""
        return make_view_bank(
            material, progress, self.observer.notice, architecture=self.architecture
        )


def prepare_supernet(parts: SeedParts, observer: Observer) -> None:
    """Train the supernet of a seed, unless it is already; that of the first is the search's own.

    Raises:
        BadRun: a checkpoint is damaged.
    """
    if parts.seed.number > 0 and not has_supernet(parts.run):
        with observer.progress(f"Seed {parts.seed.number}: training the supernet") as steps:
            views = make_view_bank(parts.material, steps, observer.notice)
            make_supernet(parts.run, parts.material, views, progress=steps)
