"""Which run is it? The settings and inputs that it was begun with, as settings.json keeps them.

A run is resumed only with the same: half a study under one budget and half under another has a
front that means nothing. The caller names what may change, such as the number of trials.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from cmpc_base.json_files import read_json, write_json
from cmpc_base.names import few
from cmpc_search.errors import BadRun
from cmpc_search.json_records import parsed_record

__all__ = ["Identity", "Meaning", "check_same", "read_identity", "write_identity"]

SCHEMA_VERSION = 1

Meaning = Callable[[dict[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Identity:
    """What settings.json holds."""

    schema_version: int
    settings: dict[str, Any]
    inputs: dict[str, Any]

    @classmethod
    def of_today(cls, settings: Mapping[str, Any], inputs: Mapping[str, Any]) -> Self:
        """Return the identity as it would come back from JSON, with lists and text keys."""
        return cls(SCHEMA_VERSION, json.loads(json.dumps(settings)), json.loads(json.dumps(inputs)))


def write_identity(path: Path, identity: Identity) -> None:
    """Write settings.json."""
    write_json(path, asdict(identity))


def read_identity(path: Path) -> Identity:
    """Read settings.json.

    Raises:
        BadRun: it is damaged, or of another version.
    """
    stored = read_json(path, error=BadRun)
    if stored.get("schema_version") != SCHEMA_VERSION:
        raise BadRun(
            f"{path.parent} must be a run with schema_version {SCHEMA_VERSION}, "
            f"got {stored.get('schema_version')}; read it with the cmpc that wrote it"
        )
    return parsed_record(stored, Identity, path, error=BadRun)


def check_same(path: Path, now: Identity, free: Collection[str], meaning: Meaning) -> None:
    """Refuse to go on with a run that was begun with other settings or inputs.

    Raises:
        BadRun: they differ in more than in what is ``free``, or the stored ones can't be read.
    """
    stored = read_identity(path)
    as_today = _flat(meaning(stored.settings))
    before = {name: as_today.get(name, value) for name, value in _flat(stored.settings).items()}
    before |= _flat(stored.inputs)
    given = _flat(now.settings) | _flat(now.inputs)
    differences = [
        f"{name} was {_text(before, name)}, now {_text(given, name)}"
        for name in sorted(before.keys() | given.keys())
        if name not in free and _text(before, name) != _text(given, name)
    ]
    if differences:
        listed = few(differences, separator="; ")
        raise BadRun(
            f"{path.parent} must be resumed with the settings it was begun with, got others: "
            f"{listed}. Give the same, name another folder, or begin again with "
            "`cmpc search --fresh`, which keeps the old run aside"
        )


def _flat(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings by their dotted names."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            leaves |= _flat(value, f"{above}{name}.")
        else:
            leaves[f"{above}{name}"] = value
    return leaves


def _text(leaves: Mapping[str, Any], name: str) -> str:
    """Settings that an older version didn't know are not set, as those that are null."""
    return "not set" if leaves.get(name) is None else json.dumps(leaves[name])
