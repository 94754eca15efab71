"""Train the picked architecture on its own, with one or more seeds, and a control beside it.

    RUN/pick/ARCHITECTURE/seed-0/network.safetensors  network.onnx  facts.json
    RUN/pick/ARCHITECTURE/seed-1/...               from another supernet and other views
    RUN/pick/ARCHITECTURE/seed-1-new-gallery/...   and to fit another gallery network
    RUN/pick/ARCHITECTURE/control/...              trained without any gallery

A pick starts from its supernet weights. It is kept as its training left it, with the batch-norm
statistics that ran along over augmented views, some of two images; a candidate of the search is
judged with statistics rebuilt on clean images instead.

The control starts from random weights and never meets the gallery's embeddings: across networks it
must be near chance, or the evaluation is wrong. It is a check and no baseline: it is trained for
fewer steps, from nothing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from cmpc_base.files import replacing
from cmpc_base.hashing import document_hash
from cmpc_base.json_files import read_json, write_json
from cmpc_base.progress import Progress
from cmpc_search.compatibility import make_method
from cmpc_search.errors import BadArgument, BadRun
from cmpc_search.json_records import parsed_record
from cmpc_search.networks.onnx_export import export_query_network
from cmpc_search.networks.query import QueryNetwork
from cmpc_search.runs import RunFolder, read_pick
from cmpc_search.space import Architecture, load_space
from cmpc_search.stages.material import SearchMaterial, search_settings_of
from cmpc_search.stages.seeds import Seed, SeedParts
from cmpc_search.stages.settings import GREATEST_SEED, TrainSettings
from cmpc_search.stages.supernet import load_supernet
from cmpc_search.training.query import PickTraining, train_query_network
from cmpc_search.training.views import ViewBank

__all__ = [
    "TrainedPick",
    "control_of",
    "find_control",
    "find_pick",
    "pick_of",
    "picked_architecture",
    "train_control",
    "train_pick",
    "trained_pick",
    "trained_picks",
]

SCHEMA_VERSION = 2
WEIGHTS_FILE = "network.safetensors"
ONNX_FILE = "network.onnx"
FACTS_FILE = "facts.json"
CHECKPOINT_FILE = "checkpoint.safetensors"


@dataclass(frozen=True, slots=True)
class _Facts:
    """What facts.json tells of a trained network, beside its method."""

    architecture: str
    training: dict[str, object]
    seed: Annotated[int, Field(ge=0, le=GREATEST_SEED)]
    has_new_gallery: bool = False
    gallery_network_sha256: str = ""


@dataclass(frozen=True, slots=True)
class TrainedPick:
    """A trained query network on disk."""

    folder: Path

    @property
    def is_whole(self) -> bool:
        """Whether its training ended; facts are written last."""
        return (self.folder / FACTS_FILE).exists()

    @property
    def facts(self) -> dict[str, Any]:
        """What it is and what it was trained from, as JSON values.

        Raises:
            BadRun: another version of cmpc wrote them.
        """
        facts = read_json(self.folder / FACTS_FILE, error=BadRun)
        if facts.get("schema_version") != SCHEMA_VERSION:
            raise BadRun(
                f"{self.folder} must hold a pick with schema_version {SCHEMA_VERSION}, "
                f"got {facts.get('schema_version')}; delete it and run `cmpc train`"
            )
        return facts

    @property
    def onnx_path(self) -> Path:
        return self.folder / ONNX_FILE

    @property
    def architecture(self) -> str:
        """The key of its architecture."""
        return self._facts.architecture

    @property
    def training(self) -> dict[str, object]:
        """How it was trained, as JSON values."""
        return self._facts.training

    @property
    def seed(self) -> int:
        return self._facts.seed

    @property
    def seed_of_parts(self) -> Seed:
        """The seed with what of it is new: `parts_of` gives the parts that it was trained from."""
        return Seed(number=self.seed, has_new_gallery=self._facts.has_new_gallery)

    @property
    def gallery_network_sha256(self) -> str:
        """The gallery network that it was trained to fit."""
        return self._facts.gallery_network_sha256

    @property
    def _facts(self) -> "_Facts":
        return parsed_record(self.facts, _Facts, self.folder / FACTS_FILE, error=BadRun)

    def load(self, material: SearchMaterial) -> QueryNetwork:
        """Return the network.

        Raises:
            BadRun: its weights are damaged or of another architecture.
        """
        network = QueryNetwork(material.space.layers(material.space.read(self.architecture)))
        try:
            network.load_state_dict(load_file(self.folder / WEIGHTS_FILE))
        except (SafetensorError, OSError, RuntimeError) as error:
            raise BadRun(
                f"{self.folder} must hold a trained pick; delete it and run `cmpc train` ({error})"
            ) from error
        return network.eval()


def find_pick(
    run: RunFolder, parts: SeedParts, architecture: Architecture, settings: TrainSettings
) -> TrainedPick | None:
    """Return the pick that `train_pick` would train, if it is there already."""
    return _already(pick_of(run, architecture, parts.seed), _facts(parts, architecture, settings))


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
    pick, facts = pick_of(run, architecture, parts.seed), _facts(parts, architecture, settings)
    material = parts.material
    torch.manual_seed(material.settings.seed)
    network = load_supernet(parts.run, material).extract(architecture)
    method = make_method(material.settings.method, material.directions)
    checkpoint = _checkpoint(pick, facts)
    train_query_network(
        network,
        method,
        bank,
        settings.pick,
        seed=material.settings.seed + 1,  # not the order in which the supernet saw the views
        checkpoint=checkpoint,
        progress=progress,
    )
    return _keep(pick, network, facts, checkpoint)


def find_control(
    run: RunFolder, material: SearchMaterial, architecture: Architecture, settings: TrainSettings
) -> TrainedPick | None:
    """Return the control that `train_control` would train, if it is there already."""
    return _already(_control(run, architecture), _control_facts(material, architecture, settings))


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
    control = _control(run, architecture)
    facts = _control_facts(material, architecture, settings)
    torch.manual_seed(material.settings.seed)
    network = QueryNetwork(material.space.layers(architecture))
    method = make_method("independent", torch.randn_like(material.directions))
    checkpoint = _checkpoint(control, facts)
    train_query_network(
        network,
        method,
        bank,
        _control_training(settings),
        seed=1,
        checkpoint=checkpoint,
        progress=progress,
    )
    return _keep(control, network, facts, checkpoint)


def trained_picks(
    run: RunFolder, architecture: Architecture, *, new_galleries: bool = False
) -> tuple[TrainedPick, ...]:
    """Return the networks of ``architecture`` that were trained like the newest, by seed.

    Those that fit the run's gallery network, or with ``new_galleries`` one of their own each, seed
    0 aside. Seeds left from a shorter or longer training would be another method's numbers.

    Raises:
        BadRun: there is none.
    """
    found = map(TrainedPick, sorted(_folder(run, architecture).glob("seed-*")))
    picks = [pick for pick in found if pick.is_whole]
    picks = [
        pick
        for pick in picks
        if pick.seed == 0 or pick.seed_of_parts.has_new_gallery == new_galleries
    ]
    if not picks or (new_galleries and not any(pick.seed > 0 for pick in picks)):
        what = "picks with new galleries" if new_galleries else "a trained pick"
        how = " --seeds 2 --new-galleries" if new_galleries else ""
        old = any((run.path / "pick").glob("seed-*"))
        note = " (those of an older cmpc, in pick/seed-*, are not read)" if old else ""
        raise BadRun(f"{run.path} must have {what}, it has none{note}; run `cmpc train{how}` first")
    newest = max(picks, key=lambda pick: (pick.folder / FACTS_FILE).stat().st_mtime_ns)
    alike = [pick for pick in picks if pick.training == newest.training]
    return tuple(sorted(alike, key=lambda pick: pick.seed))


def picked_architecture(run: RunFolder) -> Architecture:
    """Return the architecture that was picked.

    Raises:
        BadRun: nothing was picked yet.
    """
    space = load_space(search_settings_of(run).space)
    return space.read(read_pick(run).score.architecture)


def trained_pick(run: RunFolder, seed: int | None = None) -> TrainedPick:
    """Return the trained network of the picked architecture with this seed, or with the least.

    Raises:
        BadArgument: it was trained with other seeds.
        BadRun: it is not trained, or nothing was picked yet.
    """
    found = {pick.seed: pick for pick in trained_picks(run, picked_architecture(run))}
    chosen = min(found) if seed is None else seed
    if chosen not in found:
        seeds = ", ".join(map(str, found))
        raise BadArgument(f"the seed must be one that was trained ({seeds}), got {seed}")
    return found[chosen]


def control_of(run: RunFolder, architecture: Architecture) -> TrainedPick | None:
    """Return the trained control of ``architecture``, or None."""
    control = _control(run, architecture)
    return control if control.is_whole else None


def _folder(run: RunFolder, architecture: Architecture) -> Path:
    return run.path / "pick" / architecture.key


def pick_of(run: RunFolder, architecture: Architecture, seed: Seed) -> TrainedPick:
    """Return the pick of a seed, trained or not."""
    return TrainedPick(_folder(run, architecture) / f"seed-{seed.name}")


def _control(run: RunFolder, architecture: Architecture) -> TrainedPick:
    return TrainedPick(_folder(run, architecture) / "control")


def _facts(parts: SeedParts, architecture: Architecture, settings: TrainSettings) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "architecture": architecture.key,
        "method": parts.material.settings.method,
        "training": settings.pick.model_dump(),
        **parts.facts,
    }


def _control_facts(
    material: SearchMaterial, architecture: Architecture, settings: TrainSettings
) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "architecture": architecture.key,
        "method": "independent",
        "training": _control_training(settings).model_dump(),
        "seed": 0,
        "bank_seed": material.settings.seed,
    }


def _control_training(settings: TrainSettings) -> PickTraining:
    return settings.pick.model_copy(update={"num_steps": settings.control_steps})


def _already(pick: TrainedPick, facts: dict[str, Any]) -> TrainedPick | None:
    is_there = pick.is_whole and read_json(pick.folder / FACTS_FILE, error=BadRun) == facts
    return pick if is_there else None


def _checkpoint(pick: TrainedPick, facts: dict[str, Any]) -> Path:
    """Name the checkpoint after what it is of, so that another training never resumes from it."""
    return pick.folder / f"{document_hash(facts)[:12]}.{CHECKPOINT_FILE}"


def _keep(
    pick: TrainedPick, network: QueryNetwork, facts: dict[str, Any], checkpoint: Path
) -> TrainedPick:
    """Write the network; its facts come last and say that it is whole."""
    folder = pick.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FACTS_FILE).unlink(missing_ok=True)
    weights = {key: value.contiguous() for key, value in network.state_dict().items()}
    with replacing(folder / WEIGHTS_FILE) as file:
        file.write(save(weights))
    export_query_network(network, folder / ONNX_FILE)
    write_json(folder / FACTS_FILE, facts)
    checkpoint.unlink(missing_ok=True)
    return pick
