"""Train the picked architecture on its own, from the parts of a seed, and a control beside it.

A pick starts from its supernet weights. It is kept as its training left it, with the batch-norm
statistics that ran along over augmented views, some of two images; a candidate of the search is
judged with statistics rebuilt on clean images instead.

The control starts from random weights and never meets the gallery's embeddings: across networks it
must be near chance, or the evaluation is wrong. It is a check and no baseline: it is trained for
fewer steps, from nothing.
"""

from pathlib import Path

import torch
from safetensors.torch import save

from cmpc_base.files import replacing
from cmpc_base.hashing import document_hash
from cmpc_base.json_files import write_json
from cmpc_base.progress import Progress
from cmpc_search.compatibility import make_method
from cmpc_search.networks.onnx_export import export_network
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.runs import RunFolder
from cmpc_search.space import Architecture
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.stages.picks import PickFacts, TrainedPick, control_in, pick_of
from cmpc_search.stages.seeds import SeedParts
from cmpc_search.stages.settings import TrainSettings
from cmpc_search.stages.supernet import load_supernet
from cmpc_search.training.execution import Execution
from cmpc_search.training.loop import train
from cmpc_search.training.query import QueryTask
from cmpc_search.training.settings import PickTraining
from cmpc_search.training.views import ViewBank

__all__ = ["find_control", "find_pick", "train_control", "train_pick"]

CHECKPOINT_FILE = "checkpoint.safetensors"
CONTROL_METHOD = "independent"


def find_pick(
    run: RunFolder, parts: SeedParts, architecture: Architecture, settings: TrainSettings
) -> TrainedPick | None:
    """Return the pick that `train_pick` would train, if it is there already."""
    pick = pick_of(run, architecture, parts.seed)
    return pick if pick.is_of(_facts(parts, architecture, settings)) else None


def train_pick(
    run: RunFolder,
    parts: SeedParts,
    bank: ViewBank,
    architecture: Architecture,
    settings: TrainSettings,
    *,
    progress: Progress | None = None,
) -> TrainedPick:
    """Train ``architecture`` from its weights in the seed's supernet, on the seed's views.

    Raises:
        BadRun: the supernet is not trained, or a checkpoint is damaged.
    """
    material, search = parts.material, parts.material.settings
    torch.manual_seed(search.seed)
    network = load_supernet(parts.run, material).extract(architecture)
    task = QueryTask(
        network, make_method(search.method, material.gallery_bank, search.method_settings)
    )
    pick, facts = pick_of(run, architecture, parts.seed), _facts(parts, architecture, settings)
    execution = Execution(checkpoint=_checkpoint(pick, facts), progress=progress)
    # Not the order in which the supernet saw the views.
    batches = bank.batches(settings.pick, seed=search.seed + 1, compute=execution.compute)
    train(task, batches, settings.pick.schedule, execution)
    return _keep(pick, network, facts)


def find_control(
    run: RunFolder, material: SearchMaterial, architecture: Architecture, settings: TrainSettings
) -> TrainedPick | None:
    """Return the control that `train_control` would train, if it is there already."""
    control = control_in(run, architecture)
    return control if control.is_of(_control_facts(material, architecture, settings)) else None


def train_control(
    run: RunFolder,
    material: SearchMaterial,
    bank: ViewBank,
    architecture: Architecture,
    settings: TrainSettings,
    *,
    progress: Progress | None = None,
) -> TrainedPick:
    """Train ``architecture`` from random weights with the classifier of its own alone."""
    torch.manual_seed(material.settings.seed)
    network = PlanNetwork(material.space.plan(architecture))
    task = QueryTask(network, make_method(CONTROL_METHOD, material.gallery_bank.made_up()))
    control, training = control_in(run, architecture), _control_training(settings)
    facts = _control_facts(material, architecture, settings)
    execution = Execution(checkpoint=_checkpoint(control, facts), progress=progress)
    batches = bank.batches(training, seed=1, compute=execution.compute)
    train(task, batches, training.schedule, execution)
    return _keep(control, network, facts)


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


def _checkpoint(pick: TrainedPick, facts: PickFacts) -> Path:
    """Name the checkpoint after what it is of, so that another training never resumes from it."""
    return pick.folder / f"{document_hash(facts.to_json())[:12]}.{CHECKPOINT_FILE}"


def _keep(pick: TrainedPick, network: PlanNetwork, facts: PickFacts) -> TrainedPick:
    """Write the network; its facts come last and say that it is whole."""
    pick.folder.mkdir(parents=True, exist_ok=True)
    pick.facts_path.unlink(missing_ok=True)
    weights = {key: value.contiguous() for key, value in network.state_dict().items()}
    with replacing(pick.weights_path) as file:
        file.write(save(weights))
    export_network(network, pick.onnx_path)
    write_json(pick.facts_path, facts.to_json())
    _checkpoint(pick, facts).unlink(missing_ok=True)
    return pick
