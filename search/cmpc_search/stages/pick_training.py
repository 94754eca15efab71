"""Train the picked architecture on its own, from the parts of a seed, and a control beside it.

A pick starts from its supernet weights. It is kept with batch-norm statistics rebuilt on clean
images, as candidates of the search are judged with.

The control starts from random weights and never meets the gallery's embeddings: across networks it
must be near chance, or the evaluation is wrong. It is a check and no baseline: it is trained for
fewer steps, from nothing.
"""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from cmpc_base.hashing import document_hash
from cmpc_base.json_files import write_json
from cmpc_base.progress import Progress
from cmpc_search.compatibility.making import make_method
from cmpc_search.data import ImageSet
from cmpc_search.networks.onnx_export import export_network
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.runs import RunFolder
from cmpc_search.space.base import Architecture
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.stages.seeds import SeedParts
from cmpc_search.stages.settings import TrainSettings
from cmpc_search.stages.supernet import load_supernet
from cmpc_search.stages.together import together
from cmpc_search.stages.trained_picks import PickFacts, TrainedPick, control_in, pick_of
from cmpc_search.training.batches import BatchSource
from cmpc_search.training.checkpoint import write_weights
from cmpc_search.training.compute import Compute
from cmpc_search.training.execution import Execution
from cmpc_search.training.launch import Order
from cmpc_search.training.loop import train
from cmpc_search.training.query_task import QueryTask
from cmpc_search.training.recalibration import clean_images, rebuild_batch_norms
from cmpc_search.training.settings import PickTraining

__all__ = ["QueryPlan", "control_plan", "pick_plan"]

CHECKPOINT_FILE = "checkpoint.safetensors"
CONTROL_METHOD = "independent"


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryPlan:
    """A query network to train on its own.

    Attributes:
        pick: Where it will be kept, or is.
        facts: What it is and what it is trained from.
        batch_seed: Decides in which order it sees the views.
        new_task: Makes it, as it is before its training, with its method.
        order: What another process makes the same plan from.
        images_at: Gives the images, of which batch norms are rebuilt, at a size in pixels.
    """

    pick: TrainedPick
    facts: PickFacts
    training: PickTraining
    batch_seed: int
    new_task: Callable[[], QueryTask]
    order: Order
    images_at: Callable[[int], ImageSet]

    def found(self) -> TrainedPick | None:
        """Return the trained network, if it is there already."""
        return self.pick if self.pick.is_of(self.facts) else None

    def train(self, views: BatchSource, progress: Progress | None = None) -> TrainedPick:
        """Train it from its beginning or its last checkpoint, and keep it.

        Raises:
            BadRun: the supernet is not trained, or a checkpoint is damaged.
        """
        order = {**self.order, "pick": os.path.abspath(self.pick.folder)}
        with together(order, self.training) as compute:
            network = self.trained_network(views, compute, progress)
        rebuild_batch_norms(network, clean_images(self.images_at(network.plan.image.size_px)))
        self._keep(network)
        return self.pick

    def trained_network(
        self, views: BatchSource, compute: Compute, progress: Progress | None = None
    ) -> PlanNetwork:
        """Return it, trained from its beginning or its last checkpoint."""
        task = self.new_task()
        batches = views.batches(self.training, seed=self.batch_seed, compute=compute)
        execution = Execution(compute=compute, checkpoint=self._checkpoint, progress=progress)
        train(task, batches, self.training, execution)
        return task.network

    @property
    def _checkpoint(self) -> Path:
        """Named after what it is of, so that another training never resumes from it."""
        return self.pick.folder / f"{document_hash(self.facts.to_json())[:12]}.{CHECKPOINT_FILE}"

    def _keep(self, network: PlanNetwork) -> None:
        """Write the network; its facts come last and say that it is whole."""
        pick = self.pick
        pick.folder.mkdir(parents=True, exist_ok=True)
        pick.facts_path.unlink(missing_ok=True)
        write_weights(pick.weights_path, network)
        export_network(network, pick.onnx_path)
        write_json(pick.facts_path, self.facts.to_json())
        self._checkpoint.unlink(missing_ok=True)


def pick_plan(
    run: RunFolder, parts: SeedParts, architecture: Architecture, settings: TrainSettings
) -> QueryPlan:
    """Plan the pick of a seed: most often from the seed's supernet, on the seed's views."""
    return QueryPlan(
        pick=pick_of(run, architecture, parts.seed),
        facts=_facts(parts, architecture, settings),
        training=settings.pick,
        # Not the order in which the supernet saw the views.
        batch_seed=parts.material.settings.seed + 1,
        new_task=partial(_pick_task, parts, architecture, settings.pick),
        order=_order("pick", run, parts.material, architecture, settings)
        | {"seed": asdict(parts.seed), "parts_run": os.path.abspath(parts.run.path)},
        images_at=parts.material.images_at,
    )


def control_plan(
    run: RunFolder, material: SearchMaterial, architecture: Architecture, settings: TrainSettings
) -> QueryPlan:
    """Plan the control: from random weights, with a classifier of its own alone."""
    return QueryPlan(
        pick=control_in(run, architecture),
        facts=_control_facts(material, architecture, settings),
        training=_control_training(settings),
        batch_seed=1,
        new_task=partial(_control_task, material, architecture),
        order=_order("control", run, material, architecture, settings),
        images_at=material.images_at,
    )


def _order(
    kind: str,
    run: RunFolder,
    material: SearchMaterial,
    architecture: Architecture,
    settings: TrainSettings,
) -> dict[str, Any]:
    return {
        "kind": kind,
        "run": os.path.abspath(run.path),
        "material": material.order(),
        "architecture": architecture.key,
        "settings": settings.model_dump(mode="json"),
    }


def _pick_task(parts: SeedParts, architecture: Architecture, training: PickTraining) -> QueryTask:
    material, search = parts.material, parts.material.settings
    torch.manual_seed(search.seed)
    if training.from_supernet:
        network = load_supernet(parts.run, material).extract(architecture)
    else:
        network = PlanNetwork(material.space.plan(architecture))
    method = make_method(
        search.method,
        material.gallery_bank,
        search.method_settings,
        views_per_item=training.views_per_item,
    )
    return QueryTask(network, method)


def _control_task(material: SearchMaterial, architecture: Architecture) -> QueryTask:
    torch.manual_seed(material.settings.seed)
    network = PlanNetwork(material.space.plan(architecture))
    return QueryTask(network, make_method(CONTROL_METHOD, material.gallery_bank.made_up()))


def _facts(parts: SeedParts, architecture: Architecture, settings: TrainSettings) -> PickFacts:
    drawn_with = parts.material.settings.seed
    return PickFacts(
        architecture=architecture.key,
        method=parts.material.settings.method,
        training=settings.pick.model_dump(),
        seed=parts.seed.number,
        has_new_gallery=parts.seed.has_new_gallery,
        supernet_seed=drawn_with,
        bank_seed=drawn_with,
        gallery_network_sha256=parts.material.gallery.network_sha256,
    )


def _control_facts(
    material: SearchMaterial, architecture: Architecture, settings: TrainSettings
) -> PickFacts:
    return PickFacts(
        architecture=architecture.key,
        method=CONTROL_METHOD,
        training=_control_training(settings).model_dump(),
        seed=0,
        bank_seed=material.settings.seed,
    )


def _control_training(settings: TrainSettings) -> PickTraining:
    return settings.pick.model_copy(update={"num_steps": settings.control_steps})
