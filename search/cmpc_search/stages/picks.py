"""Train the picked architecture on its own, with one or more seeds, and a control beside it.

    RUN/pick/seed-0/network.safetensors  network.onnx  facts.json
    RUN/pick/control/...                 the same architecture, trained without the gallery

The pick starts from its supernet weights. The control starts from random ones and never meets the
gallery's embeddings: across networks it must be near chance, or the evaluation is wrong.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from cmpc_search.compatibility import make_method
from cmpc_search.errors import BadRun
from cmpc_search.export import export_query_network
from cmpc_search.networks.query import QueryNetwork
from cmpc_search.runs import RunFolder, read_json, write_json
from cmpc_search.space import Architecture
from cmpc_search.stages.inputs import Inputs
from cmpc_search.stages.settings import TrainSettings
from cmpc_search.stages.supernet import load_supernet
from cmpc_search.training.optimisation import Progress
from cmpc_search.training.query import train_query_network
from cmpc_search.training.views import ViewBank

__all__ = ["TrainedPick", "control_of", "train_control", "train_pick", "trained_picks"]

WEIGHTS_FILE = "network.safetensors"
ONNX_FILE = "network.onnx"
FACTS_FILE = "facts.json"
CHECKPOINT_FILE = "checkpoint.safetensors"


@dataclass(frozen=True, slots=True)
class TrainedPick:
    """A trained query network on disk."""

    folder: Path

    @property
    def onnx_path(self) -> Path:
        return self.folder / ONNX_FILE

    @property
    def architecture(self) -> Architecture:
        return Architecture.from_key(str(read_json(self.folder / FACTS_FILE)["architecture"]))

    @property
    def training(self) -> dict[str, object]:
        """How it was trained, as JSON values."""
        return dict(read_json(self.folder / FACTS_FILE)["training"])

    @property
    def seed(self) -> int:
        return int(read_json(self.folder / FACTS_FILE)["seed"])

    def load(self, inputs: Inputs) -> QueryNetwork:
        """Return the network.

        Raises:
            BadRun: its weights are damaged or of another architecture.
        """
        network = QueryNetwork(inputs.space.layers(self.architecture))
        try:
            network.load_state_dict(load_file(self.folder / WEIGHTS_FILE))
        except (SafetensorError, OSError, RuntimeError) as error:
            raise BadRun(
                f"{self.folder} must hold a trained pick; delete it and run `cmpc train` ({error})"
            ) from error
        return network.eval()


def train_pick(
    run: RunFolder,
    inputs: Inputs,
    bank: ViewBank,
    architecture: Architecture,
    settings: TrainSettings,
    *,
    seed: int,
    progress: Progress | None = None,
) -> TrainedPick:
    """Train ``architecture`` from its supernet weights; what is trained already is returned."""
    name = f"seed-{seed}"
    facts = _facts(architecture, inputs.settings.method, settings.pick.model_dump(), seed)
    trained = _already(run, name, facts)
    if trained is not None:
        return trained
    torch.manual_seed(seed)
    network = load_supernet(run, inputs).extract(architecture)
    method = make_method(inputs.settings.method, inputs.directions)
    checkpoint = _checkpoint(run, name, facts)
    train_query_network(
        network,
        method,
        bank,
        settings.pick,
        seed=seed + 1,  # not the order in which the supernet saw the views
        checkpoint=checkpoint,
        progress=progress,
    )
    return _keep(run, name, network, facts, checkpoint)


def train_control(
    run: RunFolder,
    inputs: Inputs,
    bank: ViewBank,
    architecture: Architecture,
    settings: TrainSettings,
    *,
    progress: Progress | None = None,
) -> TrainedPick:
    """Train ``architecture`` from random weights with the classifier of its own alone."""
    training = settings.pick.model_copy(update={"num_steps": settings.control_steps})
    facts = _facts(architecture, "independent", training.model_dump(), seed=0)
    trained = _already(run, "control", facts)
    if trained is not None:
        return trained
    torch.manual_seed(inputs.settings.seed)
    network = QueryNetwork(inputs.space.layers(architecture))
    method = make_method("independent", torch.randn_like(inputs.directions))
    checkpoint = _checkpoint(run, "control", facts)
    train_query_network(
        network, method, bank, training, seed=1, checkpoint=checkpoint, progress=progress
    )
    return _keep(run, "control", network, facts, checkpoint)


def trained_picks(run: RunFolder, architecture: Architecture) -> tuple[TrainedPick, ...]:
    """Return the networks of ``architecture`` that were trained like the newest, by seed.

    Seeds left from a shorter or longer training would be another method's numbers.

    Raises:
        BadRun: there is none.
    """
    folders = sorted((run.path / "pick").glob("seed-*"))
    picks = [TrainedPick(folder) for folder in folders if (folder / FACTS_FILE).exists()]
    picks = [pick for pick in picks if pick.architecture == architecture]
    if not picks:
        raise BadRun(f"{run.path} must have a trained pick, it has none; run `cmpc train` first")
    newest = max(picks, key=lambda pick: (pick.folder / FACTS_FILE).stat().st_mtime_ns)
    alike = [pick for pick in picks if pick.training == newest.training]
    return tuple(sorted(alike, key=lambda pick: pick.seed))


def control_of(run: RunFolder, architecture: Architecture) -> TrainedPick | None:
    """Return the trained control of ``architecture``, or None."""
    control = TrainedPick(run.path / "pick" / "control")
    exists = (control.folder / FACTS_FILE).exists()
    return control if exists and control.architecture == architecture else None


def _facts(
    architecture: Architecture, method: str, training: dict[str, object], seed: int
) -> dict[str, object]:
    return {
        "schema_version": 1,
        "architecture": architecture.key,
        "method": method,
        "training": training,
        "seed": seed,
    }


def _already(run: RunFolder, name: str, facts: dict[str, object]) -> TrainedPick | None:
    folder = run.path / "pick" / name
    if not (folder / FACTS_FILE).exists() or read_json(folder / FACTS_FILE) != facts:
        return None
    return TrainedPick(folder)


def _checkpoint(run: RunFolder, name: str, facts: dict[str, object]) -> Path:
    """Name the checkpoint after what it is of, so that another training never resumes from it."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
    return run.path / "pick" / name / f"{digest}.{CHECKPOINT_FILE}"


def _keep(
    run: RunFolder, name: str, network: QueryNetwork, facts: dict[str, object], checkpoint: Path
) -> TrainedPick:
    """Write the network; its facts come last and say that it is whole."""
    folder = run.path / "pick" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FACTS_FILE).unlink(missing_ok=True)
    weights = {key: value.contiguous() for key, value in network.state_dict().items()}
    temporary = folder / f".{WEIGHTS_FILE}.tmp"
    save_file(weights, temporary)
    temporary.replace(folder / WEIGHTS_FILE)
    export_query_network(network, folder / ONNX_FILE)
    write_json(folder / FACTS_FILE, facts)
    checkpoint.unlink(missing_ok=True)
    return TrainedPick(folder)
