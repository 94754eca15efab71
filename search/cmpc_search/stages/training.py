"""Train the picked architecture with several seeds, one after the other, and a control beside them.

Each part (gallery network, views, supernet, pick) is kept as soon as it is whole, so that a run
that was killed goes on with the part that was at work.
"""

from dataclasses import dataclass

from cmpc_base.progress import Observer
from cmpc_search.runs import RunFolder
from cmpc_search.space.base import Architecture
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.stages.picks import TrainedPick
from cmpc_search.stages.query_training import control_plan, pick_plan
from cmpc_search.stages.seeds import Seed, make_new_gallery, parts_of
from cmpc_search.stages.settings import TrainSettings
from cmpc_search.stages.supernet import has_supernet, make_supernet
from cmpc_search.stages.views import make_view_bank

__all__ = ["PickTrainer"]


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
            views = make_view_bank(parts.material, steps)
        if seed.number > 0 and not has_supernet(parts.run):
            with self.observer.progress(f"{name}: training the supernet") as steps:
                make_supernet(parts.run, parts.material, views, progress=steps)
        with self.observer.progress(f"{name}: training the pick") as steps:
            return plan.train(views, steps)

    def train_control(self) -> TrainedPick:
        """Train the control, which never meets the gallery."""
        plan = control_plan(self.run, self.material, self.architecture, self.settings)
        if (found := plan.found()) is not None:
            return found
        with self.observer.progress("Control: embedding views with the gallery network") as steps:
            views = make_view_bank(self.material, steps)
        with self.observer.progress("Control: training without the gallery") as steps:
            return plan.train(views, steps)
