"""The trained networks of a run, found again: picks with one or more seeds, and the control.

    RUN/pick/ARCHITECTURE/seed-0/network.safetensors  network.onnx  facts.json
    RUN/pick/ARCHITECTURE/seed-1/...               from another supernet and other views
    RUN/pick/ARCHITECTURE/seed-1-new-gallery/...   and to fit another gallery network
    RUN/pick/ARCHITECTURE/control/...              trained without any gallery

`pick_training` writes them.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file

from cmpc_base.json_files import read_json
from cmpc_search.errors import BadArgument, BadRun
from cmpc_search.json_records import parsed_record
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.runs import RunFolder, read_pick
from cmpc_search.space.base import Architecture
from cmpc_search.space.plan import Plan
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.stages.run_material import search_settings_of
from cmpc_search.stages.seeds import Seed
from cmpc_search.stages.settings import GREATEST_SEED

__all__ = [
    "PickFacts",
    "TrainedPick",
    "control_in",
    "control_of",
    "pick_of",
    "picked_architecture",
    "trained_pick",
    "trained_picks",
]

SCHEMA_VERSION = 2
WEIGHTS_FILE = "network.safetensors"
ONNX_FILE = "network.onnx"
FACTS_FILE = "facts.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class PickFacts:
    """What a trained network is and what it was trained from: facts.json.

    Attributes:
        training: How it was trained, as JSON values.
        seed: The number of its seed; the seeds below are what its parts were drawn with.
        supernet_seed, gallery_network_sha256: None for the control, which had neither.
    """

    architecture: str
    method: str
    training: dict[str, object]
    seed: Annotated[int, Field(ge=0, le=GREATEST_SEED)]
    bank_seed: int
    has_new_gallery: bool = False
    supernet_seed: int | None = None
    gallery_network_sha256: str | None = None
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> dict[str, Any]:
        """Return what there is to tell, as JSON values."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class TrainedPick:
    """A trained query network on disk."""

    folder: Path

    @property
    def is_whole(self) -> bool:
        """Whether its training ended; facts are written last."""
        return self.facts_path.exists()

    @property
    def facts(self) -> PickFacts:
        """What it is and what it was trained from.

        Raises:
            BadRun: another version of cmpc wrote them.
        """
        document = read_json(self.facts_path, error=BadRun)
        if document.get("schema_version") != SCHEMA_VERSION:
            raise BadRun(
                f"{self.folder} must hold a pick with schema_version {SCHEMA_VERSION}, "
                f"got {document.get('schema_version')}; delete it and run `cmpc train`"
            )
        return parsed_record(document, PickFacts, self.facts_path, error=BadRun)

    @property
    def facts_path(self) -> Path:
        return self.folder / FACTS_FILE

    @property
    def weights_path(self) -> Path:
        return self.folder / WEIGHTS_FILE

    @property
    def onnx_path(self) -> Path:
        return self.folder / ONNX_FILE

    @property
    def architecture(self) -> str:
        """The key of its architecture."""
        return self.facts.architecture

    @property
    def training(self) -> dict[str, object]:
        """How it was trained, as JSON values."""
        return self.facts.training

    @property
    def seed(self) -> int:
        return self.facts.seed

    @property
    def seed_of_parts(self) -> Seed:
        """The seed with what of it is new: `parts_of` gives the parts that it was trained from."""
        facts = self.facts
        return Seed(number=facts.seed, has_new_gallery=facts.has_new_gallery)

    @property
    def gallery_network_sha256(self) -> str | None:
        """The gallery network that it was trained to fit; None for the control."""
        return self.facts.gallery_network_sha256

    def is_of(self, facts: PickFacts) -> bool:
        """Tell whether it is there, and these are its facts."""
        if not self.is_whole:
            return False
        kept = read_json(self.facts_path, error=BadRun)
        # Controls of earlier versions don't say it: they know no gallery.
        return {"has_new_gallery": False, **kept} == facts.to_json()

    def load(self, material: SearchMaterial) -> PlanNetwork:
        """Return the network, whose architecture is one of the run's space.

        Raises:
            BadRun: its weights are damaged or of another architecture.
        """
        return self.load_as(material.space.plan(material.space.read(self.architecture)))

    def load_as(self, plan: Plan) -> PlanNetwork:
        """Return the network that ``plan`` describes, with its weights.

        Raises:
            BadRun: they are damaged or of another network.
        """
        network = PlanNetwork(plan)
        try:
            network.load_state_dict(load_file(self.weights_path))
        except (SafetensorError, OSError, RuntimeError) as error:
            raise BadRun(
                f"{self.folder} must hold a trained network; delete it and train it again ({error})"
            ) from error
        return network.eval()


def pick_of(run: RunFolder, architecture: Architecture, seed: Seed) -> TrainedPick:
    """Return the pick of a seed, trained or not."""
    return TrainedPick(_folder(run, architecture) / f"seed-{seed.name}")


def control_in(run: RunFolder, architecture: Architecture) -> TrainedPick:
    """Return the control of ``architecture``, trained or not."""
    return TrainedPick(_folder(run, architecture) / "control")


def control_of(run: RunFolder, architecture: Architecture) -> TrainedPick | None:
    """Return the trained control of ``architecture``, or None."""
    control = control_in(run, architecture)
    return control if control.is_whole else None


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
    newest = max(picks, key=lambda pick: pick.facts_path.stat().st_mtime_ns)
    alike = [pick for pick in picks if pick.training == newest.training]
    return tuple(sorted(alike, key=lambda pick: pick.seed))


def picked_architecture(run: RunFolder) -> Architecture:
    """Return the architecture that was picked.

    Raises:
        BadRun: nothing was picked yet.
    """
    space = search_settings_of(run).search_space()
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


def _folder(run: RunFolder, architecture: Architecture) -> Path:
    return run.path / "pick" / architecture.key
