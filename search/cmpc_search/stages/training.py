"""Train the picked architecture with several seeds, one after the other, and a control beside them.

Each part (gallery network, views, supernet, pick) is kept as soon as it is whole, so that a run
that was killed goes on with the part that was at work.
"""

from cmpc_base.progress import Observer
from cmpc_search.runs import RunFolder
from cmpc_search.space import Architecture
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.stages.picks import TrainedPick
from cmpc_search.stages.query_training import find_control, find_pick, train_control, train_pick
from cmpc_search.stages.seeds import Seed, make_new_gallery, parts_of
from cmpc_search.stages.settings import TrainSettings
from cmpc_search.stages.supernet import has_supernet, make_supernet
from cmpc_search.stages.views import make_view_bank

__all__ = ["train_control_of_run", "train_seed"]


def train_seed(
    run: RunFolder,
    material: SearchMaterial,
    architecture: Architecture,
    settings: TrainSettings,
    seed: Seed,
    observer: Observer,
) -> TrainedPick:
    """Train ``architecture`` with one seed from all parts of that seed, or find it trained.

    Raises:
        BadGallery: a new gallery network is asked for, and the run's is not cmpc's own.
        BadRun: the run has no supernet yet, or a checkpoint is damaged.
    """
    name = f"Seed {seed.number}"
    if seed.has_new_gallery:
        with observer.progress(f"{name}: training a gallery network") as steps:
            make_new_gallery(run, material, seed, steps)
    parts = parts_of(run, material, seed)
    found = find_pick(run, parts, architecture, settings)
    if found is not None:
        return found
    with observer.progress(f"{name}: embedding views with the gallery network") as steps:
        bank = make_view_bank(parts.material, steps)
    if seed.number > 0 and not has_supernet(parts.run):
        with observer.progress(f"{name}: training the supernet") as steps:
            make_supernet(parts.run, parts.material, bank, progress=steps)
    with observer.progress(f"{name}: training the pick") as steps:
        return train_pick(run, parts, bank, architecture, settings, progress=steps)


def train_control_of_run(
    run: RunFolder,
    material: SearchMaterial,
    architecture: Architecture,
    settings: TrainSettings,
    observer: Observer,
) -> TrainedPick:
    """Train the control of ``architecture``, or find it trained."""
    found = find_control(run, material, architecture, settings)
    if found is not None:
        return found
    with observer.progress("Control: embedding views with the gallery network") as steps:
        bank = make_view_bank(material, steps)
    with observer.progress("Control: training without the gallery") as steps:
        return train_control(run, material, bank, architecture, settings, progress=steps)
