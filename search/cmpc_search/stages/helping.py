"""What a process does that trains along: make the training that it is ordered, and join in.

    python -m cmpc_search.stages.helping    ordered by `together`, on its standard input

It loads what the first process loaded, from the same folders, and makes the same networks from the
same seeds. What comes of it is dropped: the first process keeps its own, which is the same.
"""

from dataclasses import replace
from pathlib import Path

from cmpc_search.gallery import checkpoint_of
from cmpc_search.runs import RunFolder
from cmpc_search.stages.baselines.base import Contest
from cmpc_search.stages.baselines.catalogue import BASELINES
from cmpc_search.stages.gallery_training import (
    load_further_sets,
    load_training_set,
    training_facts,
    training_views,
)
from cmpc_search.stages.material import SearchMaterial, ordered_material
from cmpc_search.stages.pick_training import QueryPlan, control_plan, pick_plan
from cmpc_search.stages.seeds import Seed, SeedParts
from cmpc_search.stages.settings import GallerySettings, TrainSettings
from cmpc_search.stages.supernet import trained_supernet
from cmpc_search.stages.trained_picks import TrainedPick
from cmpc_search.stages.view_banks import make_view_bank
from cmpc_search.training.execution import Execution
from cmpc_search.training.gallery_task import train_gallery_network
from cmpc_search.training.launch import Order, Work
from cmpc_search.training.processes import serve_one_order

__all__ = ["prepare"]


def prepare(order: Order) -> Work:
    """Load what ``order`` needs, and return what trains."""
    return PREPARATIONS[order["kind"]](order)


def _supernet(order: Order) -> Work:
    material = ordered_material(order["material"])
    views = make_view_bank(material)
    return lambda compute: trained_supernet(
        RunFolder(Path(order["run"])), material, views, compute=compute
    )


def _pick(order: Order) -> Work:
    material = ordered_material(order["material"])
    parts = _ordered_parts(order, material)
    plan = pick_plan(
        RunFolder(Path(order["run"])),
        parts,
        material.space.read(order["architecture"]),
        TrainSettings.model_validate(order["settings"]),
    )
    return _query_network(order, plan, material)


def _hand_made(order: Order) -> Work:
    material = ordered_material(order["material"])
    parts = _ordered_parts(order, material)
    settings = TrainSettings.model_validate(order["settings"])
    contest = Contest(
        material=material,
        architecture=material.space.read(order["architecture"]),
        training=settings.pick,
        num_random=0,
    )
    (baseline,) = BASELINES.load(order["row"])(contest)
    plan = baseline.query_plan(RunFolder(Path(order["run"])), parts, settings.pick)
    return _query_network(order, plan, material)


def _control(order: Order) -> Work:
    material = ordered_material(order["material"])
    plan = control_plan(
        RunFolder(Path(order["run"])),
        material,
        material.space.read(order["architecture"]),
        TrainSettings.model_validate(order["settings"]),
    )
    return _query_network(order, plan, material)


def _ordered_parts(order: Order, material: SearchMaterial) -> SeedParts:
    run = RunFolder(Path(order["parts_run"]))
    return SeedParts(seed=Seed(**order["seed"]), run=run, material=material)


def _query_network(order: Order, plan: QueryPlan, material: SearchMaterial) -> Work:
    architecture = material.space.read(order["architecture"])
    views = make_view_bank(material, architecture=architecture)
    placed = replace(plan, pick=TrainedPick(Path(order["pick"])))  # where its checkpoint is
    return lambda compute: placed.trained_network(views, compute)


def _gallery(order: Order) -> Work:
    settings = GallerySettings.model_validate(order["settings"])
    cache_dir = Path(order["cache_dir"])
    image_set = load_training_set(settings, cache_dir=cache_dir)
    views = training_views(settings, cache_dir=cache_dir)
    further = load_further_sets(settings, cache_dir=cache_dir)
    facts = training_facts(settings, further)
    checkpoint = checkpoint_of(Path(order["folder"]), image_set, facts=facts)
    return lambda compute: train_gallery_network(
        settings.shape,
        image_set,
        settings.training,
        views,
        Execution(compute=compute, checkpoint=checkpoint),
        further,
        settings.student_plan,
    )


PREPARATIONS = {
    "supernet": _supernet,
    "pick": _pick,
    "hand-made": _hand_made,
    "control": _control,
    "gallery": _gallery,
}

if __name__ == "__main__":
    serve_one_order(prepare)
