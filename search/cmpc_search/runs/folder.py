"""One folder with everything that a search produced: made once, resumed as often as one likes.

runs/NAME/
  settings.json      the resolved settings and the hashes of what was read: the run's identity
  manifest.json      each process that worked here: when, on which machine, with which versions
  supernet/          weights and checkpoints of the supernet
  study.db           every trial with its candidate's score (SQLite)
  candidates/        exported networks
  compiled/          compiled networks, named by their hash
  trials.csv  front.json  pick.json  evaluation.json      results, for people and programs
  finalists/ARCHITECTURE/  those that were trained a while before one was picked
  front_costs.json   the front as it was measured together
  pick/ARCHITECTURE/ trained picks, a folder each, and their control
  seeds/             what other seeds are trained from: supernets, new gallery networks
  baselines/         networks that were trained as the pick was, to hold against it
  evidence.json      what came of it
  evaluation.npz     what each query of the test split found
  other-data/NAME-HASH/  evaluation.json and evaluation.npz on the test split of another data set
  times.json         what the stages of `cmpc pipeline` took; it also leaves front.png, queries.png,
                     gallery.index and, unless it is to lie elsewhere, bundle/
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmpc_search.errors import BadRun
from cmpc_search.runs.identity import Identity, read_identity
from cmpc_search.study.coordination.base import Coordinator
from cmpc_search.study.coordination.catalogue import COORDINATORS

__all__ = ["RunFolder"]


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where the parts of a run are."""

    path: Path

    @property
    def settings_path(self) -> Path:
        return self.path / "settings.json"

    @property
    def manifest_path(self) -> Path:
        return self.path / "manifest.json"

    @property
    def supernet_path(self) -> Path:
        return self.path / "supernet"

    @property
    def study_path(self) -> Path:
        return self.path / "study.db"

    @property
    def coordinator(self) -> Coordinator:
        """Where the study is and who works on it: files of this folder."""
        return COORDINATORS.load("files")(self.study_path)

    @property
    def supernet_lock_path(self) -> Path:
        """Held by who trains the supernet."""
        return self.supernet_path / "training.lock"

    @property
    def train_lock_path(self) -> Path:
        """Held by who trains picks."""
        return self.path / "train.lock"

    @property
    def candidates_path(self) -> Path:
        return self.path / "candidates"

    def finalist_path(self, architecture: str) -> Path:
        """Return where the finalist with this key is, trained or not."""
        return self.path / "finalists" / architecture

    @property
    def front_costs_path(self) -> Path:
        return self.path / "front_costs.json"

    @property
    def compiled_path(self) -> Path:
        """Where the compiled network that `cmpc evaluate` timed is kept, to ship."""
        return self.path / "compiled"

    @property
    def trials_path(self) -> Path:
        return self.path / "trials.csv"

    @property
    def front_path(self) -> Path:
        return self.path / "front.json"

    @property
    def pick_path(self) -> Path:
        return self.path / "pick.json"

    @property
    def evaluation_path(self) -> Path:
        return self.path / "evaluation.json"

    @property
    def evidence_path(self) -> Path:
        return self.path / "evidence.json"

    @property
    def baselines_path(self) -> Path:
        """Where the networks are that `cmpc evidence` holds against the pick."""
        return self.path / "baselines"

    @property
    def outcomes_path(self) -> Path:
        return self.path / "evaluation.npz"

    def on_other_data(self, name: str, sha256: str) -> "RunFolder":
        """Return where what was found on another data set is kept, apart from the run's own."""
        return RunFolder(self.path / "other-data" / f"{name}-{sha256[:12]}")

    @property
    def times_path(self) -> Path:
        return self.path / "times.json"

    @property
    def index_path(self) -> Path:
        """The index of its gallery that a pipeline wrote."""
        return self.path / "gallery.index"

    @property
    def settings(self) -> dict[str, Any]:
        """The resolved settings of the run, as `open_run` stored them."""
        return self._identity.settings

    @property
    def inputs(self) -> dict[str, Any]:
        """The hashes of what the run reads, as `open_run` stored them."""
        return self._identity.inputs

    def fact(self, name: str) -> Any:
        """Return one of the inputs.

        Raises:
            BadRun: the run doesn't tell.
        """
        if name not in self.inputs:
            raise BadRun(f"{self.settings_path} must tell {name} among the inputs, it doesn't")
        return self.inputs[name]

    @property
    def _identity(self) -> Identity:
        return read_identity(self.settings_path)
