"""One folder with everything that a search produced: made once, resumed as often as one likes.

    runs/NAME/
      settings.json      the resolved settings and the hashes of what was read: the run's identity
      manifest.json      each process that worked here: when, on which machine, with which versions
      supernet/          weights and checkpoints of the supernet
      study.db           every trial with its candidate's score (SQLite)
      candidates/        exported networks
      compiled/          compiled networks, named by their hash
      trials.csv  front.json  pick.json  evaluation.json      results, for people and programs
      pick/ARCHITECTURE/ trained picks, a folder each, and their control
      seeds/             what other seeds are trained from: supernets, new gallery networks
      evaluation.npz     what each query of the test split found

A run is resumed only with the settings it was begun with: half a study under one budget and half
under another has a front that means nothing. What may change, such as the number of trials, the
caller names.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmpc_base.folders import check_new_or_empty
from cmpc_base.json_files import read_json, write_json
from cmpc_base.leftovers import sweep
from cmpc_base.locks import holder_of, is_held
from cmpc_base.names import few
from cmpc_search.errors import BadRun
from cmpc_search.json_records import parsed_record, read_record
from cmpc_search.study.coordination.base import COORDINATORS, Coordinator

__all__ = ["RunFolder", "open_run", "reopen_run"]

SCHEMA_VERSION = 1

Meaning = Callable[[dict[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Identity:
    """What settings.json holds."""

    schema_version: int
    settings: dict[str, Any]
    inputs: dict[str, Any]


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
    def outcomes_path(self) -> Path:
        return self.path / "evaluation.npz"

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
    def _identity(self) -> "_Identity":
        return read_record(self.settings_path, _Identity, error=BadRun)


def open_run(
    path: Path,
    *,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Any],
    free: Collection[str] = (),
    meaning: Meaning = dict,
    fresh: bool = False,
) -> RunFolder:
    """Make the run, or return the one in ``path`` if it was begun with the same.

    Args:
        settings: Everything that decides the result, nested as one likes, of JSON values.
        inputs: Hashes of the data, the gallery and whatever else is read.
        free: Settings that may change on the way, as dotted names such as "search.trials"; the new
            value is stored.
        meaning: Writes stored settings as one would today, such as a target by its own name where
            another name of it was stored. What it adds to them doesn't count.
        fresh: Move what is in ``path`` aside, to ``path``.old-1 or the next free number.

    Raises:
        BadRun: other settings or inputs, a folder that is no run, one in use with ``fresh``, or one
            whose study was lost.
    """
    if fresh:
        _move_aside(path)
    run = RunFolder(path)
    document = {
        "schema_version": SCHEMA_VERSION,
        "settings": json.loads(json.dumps(settings)),  # as it would come back: lists, text keys
        "inputs": json.loads(json.dumps(inputs)),
    }
    if run.settings_path.exists():
        _check_same(run, document, free, meaning)
        _check_study(run)
    else:
        check_new_or_empty(path, what="a run", error=BadRun)
    path.mkdir(parents=True, exist_ok=True)
    write_json(run.settings_path, document)  # first: a kill must not leave a folder without it
    for folder in (run.supernet_path, run.candidates_path):
        folder.mkdir(exist_ok=True)
    sweep(path, run.supernet_path, run.candidates_path, *path.glob("pick/*/*"))
    return run


def _check_study(run: RunFolder) -> None:
    """A study that a kill left empty has no table of trials beside it yet: they come last."""
    is_empty = not run.study_path.exists() or run.study_path.stat().st_size == 0
    if is_empty and run.trials_path.exists():
        raise BadRun(
            f"{run.study_path} must hold the trials that {run.trials_path} lists, it is missing or "
            "empty; put it back, or use --fresh, which keeps the old run aside and begins again"
        )


def reopen_run(path: Path) -> RunFolder:
    """Return the run in ``path``, to read it or to work with its results.

    Raises:
        BadRun: there is none, or it was written by a newer cmpc.
    """
    run = RunFolder(path)
    if not run.settings_path.is_file():
        got = "a folder without settings.json" if path.is_dir() else "no such folder"
        raise BadRun(f"{path} must be a run, got {got}; see `cmpc search`")
    _check_version(run)
    return run


def _check_same(
    run: RunFolder, given: dict[str, Any], free: Collection[str], meaning: Meaning
) -> None:
    _check_version(run)
    stored, as_today = _flat(run.settings), _flat(meaning(run.settings))
    before = {name: as_today.get(name, value) for name, value in stored.items()}
    before |= _flat(run.inputs)
    now = _flat(given["settings"]) | _flat(given["inputs"])
    differences = [
        f"{name} was {_said(before, name)}, now {_said(now, name)}"
        for name in sorted(before.keys() | now.keys())
        if name not in free and _said(before, name) != _said(now, name)
    ]
    if not differences:
        return
    listed = few(differences, separator="; ")
    raise BadRun(
        f"{run.path} must be resumed with the settings it was begun with, got others: {listed}. "
        "Give the same, name another folder, or use --fresh, which keeps the old run aside"
    )


def _check_version(run: RunFolder) -> None:
    stored = read_json(run.settings_path, error=BadRun)
    if stored.get("schema_version") != SCHEMA_VERSION:
        raise BadRun(
            f"{run.path} must be a run with schema_version {SCHEMA_VERSION}, "
            f"got {stored.get('schema_version')}; read it with the cmpc that wrote it"
        )
    parsed_record(stored, _Identity, run.settings_path, error=BadRun)


def _flat(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings by their dotted names."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            leaves |= _flat(value, f"{above}{name}.")
        else:
            leaves[f"{above}{name}"] = value
    return leaves


def _said(leaves: Mapping[str, Any], name: str) -> str:
    """Settings that an older version didn't know are not set, as those that are null."""
    return "not set" if leaves.get(name) is None else json.dumps(leaves[name])


def _move_aside(path: Path) -> None:
    if not path.exists():
        return
    if busy := _at_work(RunFolder(path)):
        raise BadRun(f"{path} must be idle to start it afresh, but {busy}; end that first")
    number = 1
    while (aside := path.with_name(f"{path.name}.old-{number}")).exists():
        number += 1
    path.rename(aside)


def _at_work(run: RunFolder) -> str | None:
    """Say who works on the run; None where nobody does."""
    if workers := run.coordinator.live_workers():
        return f"{len(workers)} process(es) search in it: {few(workers)} (process number first)"
    for lock_path in (run.supernet_lock_path, run.train_lock_path):
        if is_held(lock_path):
            return f"{holder_of(lock_path)} trains in it"
    return None
