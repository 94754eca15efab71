"""Which targets have a name? Those of ``targets.toml``, those of a user's file, and ``host``.

    [targets.my-board]          a table of the user's own; what it doesn't say is that of `like`
    like = "cortex-a72"
    clock_ghz = 1.8

A key that no target has is an error which names the nearest one: a misspelt clock that is then
ignored makes every predicted latency wrong.
"""

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, get_type_hints

from cmpc_base.names import suggestion
from cmpc_cost_models.errors import BadArgument, UnknownTarget
from cmpc_cost_models.targets.built_in import TABLE_FILE, built_in_tables
from cmpc_cost_models.targets.host import HOST, host_target
from cmpc_cost_models.targets.target import Target

__all__ = ["HOST", "TargetTable", "aliases", "find_target", "read_targets", "target_names"]

LIKE = "like"

TargetTable = Mapping[str, Target]
NO_TARGETS: TargetTable = MappingProxyType({})


def find_target(name: str, own: TargetTable = NO_TARGETS) -> Target:
    """Return the target called ``name``; ``own`` are the user's, from ``read_targets``.

    Raises:
        UnknownTarget: no target has this name.
    """
    if name == HOST:
        return host_target(_built_in())
    known = {**_built_in(), **own}
    found = known.get(aliases().get(name, name))
    if found is None:
        raise UnknownTarget.among((HOST, *known, *aliases()), "target", name)
    return found


def read_targets(tables: Mapping[str, Any], *, origin: str) -> TargetTable:
    """Return the targets that a user's tables describe, by name.

    Args:
        tables: The content of ``[targets]``: a table for each target.
        origin: Where it stands, for errors.

    Raises:
        BadArgument: a name is taken, or a key is unknown, missing or of another type.
    """
    own: dict[str, Target] = {}
    for name, table in tables.items():
        where = f"[targets.{name}] in {origin}"
        if name in target_names():
            raise BadArgument(f"{where} must have a name of its own; cmpc has a target {name!r}")
        if not isinstance(table, dict):
            raise BadArgument(f"{where} must be a table, got {table!r}")
        given = dict(table)
        base = given.pop(LIKE, None)
        if base is not None:
            inherited = find_target(str(base), own).to_json()
            del inherited["name"]
            given = inherited | given
        own[name] = _as_target(name, given, where)
    return own


def target_names() -> tuple[str, ...]:
    """Return every name that cmpc itself knows."""
    return (HOST, *_built_in(), *aliases())


@cache
def aliases() -> Mapping[str, str]:
    """Return the names that stand for another."""
    return MappingProxyType(built_in_tables()["aliases"])


@cache
def _built_in() -> TargetTable:
    rows = built_in_tables()["targets"]
    return MappingProxyType({name: _as_target(name, row, TABLE_FILE) for name, row in rows.items()})


def _as_target(name: str, row: Mapping[str, Any], where: str) -> Target:
    """Return one target after checking each key of its table."""
    _check_fields(row, Target, where)
    try:
        return Target.from_json(dict(row) | {"name": name})
    except BadArgument as error:
        raise BadArgument(f"{where}: {error}") from error


def _check_fields(row: object, record: type, where: str) -> None:
    """Refuse a key that is no field of ``record``, and a value that isn't of the field's type."""
    if not isinstance(row, Mapping):
        raise BadArgument(f"{where} must be a table, got {row!r}")
    types = get_type_hints(record)
    names = {*types} - {"name"}
    if unknown := sorted(row.keys() - names):
        offered = {*names, LIKE} if record is Target else names
        raise BadArgument(
            f"{where} has a key {unknown[0]!r}, but a target has none of this name; "
            f"{suggestion(unknown[0], sorted(offered))}"
        )
    for key, value in row.items():
        if is_dataclass(types[key]):
            _check_fields(value, types[key], f"{key} of {where}")
            continue
        kind, is_of_kind = _KINDS[types[key]]
        if not is_of_kind(value):
            raise BadArgument(f"{key!r} of {where} must be {kind}, got {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


_KINDS: dict[object, tuple[str, Callable[[object], bool]]] = {
    float: ("a number", _is_number),
    frozenset[str]: ("a list of texts", _are_texts),
    int: ("an integer", lambda value: isinstance(value, int) and _is_number(value)),
    str: ("a text", lambda value: isinstance(value, str)),
    tuple[str, ...]: ("a list of texts", _are_texts),
}
"""What a file may hold for a field of each type."""
