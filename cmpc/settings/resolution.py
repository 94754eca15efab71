"""Where does the value of a setting come from? A file, then the environment, then a flag.

    cmpc.toml  [search] trials = 100        weakest
    CMPC_SEARCH_TRIALS=200                  overrides the file
    --trials 300                            overrides both

A command gives a pydantic model, whose fields are the settings of its table; a field that is itself
a model is a table within, and one of several models a table with the keys of all. A key that no
field bears is an error which names the nearest one: a setting that is misspelt and then ignored
costs a night of search.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from cmpc.commands import COMMANDS
from cmpc.errors import BadSettings
from cmpc.settings.file import COMPUTE_TABLE, TARGETS_TABLE, read_toml
from cmpc_base.names import suggestion

__all__ = ["Places", "resolve"]

Settings = TypeVar("Settings", bound=BaseModel)
KeyPath = tuple[str, ...]
"""("training", "epochs") is the key `epochs` of the table [TABLE.training]."""


@dataclass(frozen=True, slots=True)
class Given:
    """A value that somebody wrote, and where."""

    value: object
    origin: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """Where settings come from, the weakest place first.

    Attributes:
        toml_path: The settings file; None reads ``./cmpc.toml`` if there is one.
        environment: The variables.
        flags: Those that the user typed (see ``cmpc.cli.options.flags_given``), named after the
            fields; a field ``epochs`` within a field ``training`` is the flag ``training_epochs``.
        spellings: How a flag is typed, for errors, where that is not ``--training-epochs``.
    """

    toml_path: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, object] = field(default_factory=dict)
    spellings: Mapping[str, str] = field(default_factory=dict)


def resolve(model_class: type[Settings], table: str, places: Places) -> Settings:
    """Return the settings of one table, each taken from the strongest place that gives it.

    Raises:
        BadSettings: a place names no setting, or gives a value that can't be.
    """
    keys = sorted({*key_paths(model_class)})
    given = {
        **from_file(keys, table, places.toml_path),
        **from_environment(keys, table, places.environment),
        **from_flags(keys, places.flags, places.spellings),
    }
    try:
        return model_class.model_validate(nested(given))
    except ValidationError as error:
        raise BadSettings(complaints(error, table, given)) from None


def key_paths(model_class: type[BaseModel], above: KeyPath = ()) -> Iterator[KeyPath]:
    """Name every setting of a model, with those of the models within."""
    for name, info in model_class.model_fields.items():
        models = [kind for kind in (info.annotation, *get_args(info.annotation)) if is_model(kind)]
        for model in models:
            yield from key_paths(model, (*above, name))
        if not models:
            yield (*above, name)


def is_model(kind: object) -> TypeGuard[type[BaseModel]]:
    """Tell whether a type is that of a table within."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def from_file(keys: list[KeyPath], table: str, toml_path: Path | None) -> dict[KeyPath, Given]:
    """Read one table of the settings file."""
    path, document = read_toml(toml_path)
    tables = [name for name, entry in COMMANDS.items() if entry.reads_settings]
    tables += [COMPUTE_TABLE, TARGETS_TABLE]
    for name in document:
        require_known(name, tables, f"{path} has a table [{name}]", "no command reads it")
    content = document.get(table, {})
    if not isinstance(content, dict):
        raise BadSettings(f"[{table}] in {path} must be a table, got {content!r}")
    return dict(flatten(content, keys, f"[{table}] in {path}"))


def flatten(
    content: Mapping[str, object], keys: list[KeyPath], origin: str, above: KeyPath = ()
) -> Iterator[tuple[KeyPath, Given]]:
    """Walk through a table of the file; tables within lengthen the path."""
    known = [path[len(above)] for path in keys if path[: len(above)] == above]
    for name, value in content.items():
        require_known(name, known, f"{origin} has a key {name!r}", "there is no such setting")
        path = (*above, name)
        if path in keys:
            yield path, Given(value, origin)
        elif isinstance(value, dict):
            yield from flatten(value, keys, origin, path)
        else:
            raise BadSettings(f"{name!r} of {origin} must be a table, got {value!r}")


def from_environment(
    keys: list[KeyPath], table: str, environment: Mapping[str, str]
) -> dict[KeyPath, Given]:
    """Read the variables ``CMPC_TABLE_KEY``; lists and numbers are written as in TOML."""
    prefix = f"CMPC_{table.upper()}_"
    by_name = {prefix + "_".join(path).upper(): path for path in keys}
    given = {}
    for name, text in environment.items():
        if name.startswith(prefix):
            require_known(name, by_name, f"the environment has {name}", "there is no such setting")
            given[by_name[name]] = Given(from_text(text), name)
    return given


def from_text(text: str) -> object:
    """Read a list or an inline table as TOML; a plain word or number is what it says."""
    if not text.startswith(("[", "{")):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def from_flags(
    keys: list[KeyPath], flags: Mapping[str, object], spellings: Mapping[str, str]
) -> dict[KeyPath, Given]:
    """Take over the typed flags; a flag that is no setting belongs to the command alone."""
    by_name = {"_".join(path): path for path in keys}
    return {
        by_name[name]: Given(value, spellings.get(name, "--" + name.replace("_", "-")))
        for name, value in flags.items()
        if name in by_name
    }


def require_known(name: str, known: Iterable[str], found: str, complaint: str) -> None:
    """Refuse a name that is not among the known ones, and name the nearest."""
    names = sorted(set(known))
    if name in names:
        return
    raise BadSettings(f"{found}, but {complaint}; {suggestion(name, names)}")


def nested(given: Mapping[KeyPath, Given]) -> dict[str, Any]:
    """Return the values as the tree that pydantic reads."""
    tree: dict[str, Any] = {}
    for path, entry in given.items():
        branch = tree
        for name in path[:-1]:
            branch = branch.setdefault(name, {})
        branch[path[-1]] = entry.value
    return tree


def complaints(error: ValidationError, table: str, given: Mapping[KeyPath, Given]) -> str:
    """Write each complaint of pydantic as what must hold, what came, and where it stands."""
    lines = []
    for item in error.errors():
        path = tuple(str(part) for part in item["loc"])
        source = next((given[path[:n]] for n in range(len(path), 0, -1) if path[:n] in given), None)
        condition = must_hold(item["msg"])
        came = f", got {item['input']!r} (from {source.origin})" if source else ""
        lines.append(f"{'.'.join((table, *path))} {condition}{came}")
    return "\n".join(lines)


def must_hold(message: str) -> str:
    """Turn pydantic's sentence into a condition."""
    if message == "Field required":
        return "must be given"
    if message == "Extra inputs are not permitted":
        return "must not be given for what else is set"
    condition = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return condition.replace("Input should ", "must ", 1).partition(", unable to parse")[0]
