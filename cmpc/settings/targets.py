"""Which target does a name mean? cmpc's own, or one of the user's settings file.

cmpc.toml   [targets.my-board]
            like = "cortex-a72"
            clock_ghz = 1.8
"""

from pathlib import Path
from typing import TYPE_CHECKING

from cmpc.errors import BadSettings
from cmpc.settings.file import TARGETS_TABLE, read_toml

if TYPE_CHECKING:
    from cmpc_cost_models.targets.table import TargetTable
    from cmpc_cost_models.targets.target import Target

__all__ = ["given_target", "named_target", "own_targets"]


def named_target(name: str, toml_path: Path | None) -> "Target":
    """Return the target called ``name``, of cmpc or of the settings file.

    Raises:
        UnknownTarget: there is none of this name.
        BadArgument, BadSettings: the file describes a target wrongly.
    """
    from cmpc_cost_models.targets.table import find_target

    return find_target(name, own_targets(toml_path))


def given_target(name: str | None, toml_path: Path | None) -> "Target | None":
    """Return the target that a user named, if one was named; see `named_target`."""
    return None if name is None else named_target(name, toml_path)


def own_targets(toml_path: Path | None) -> "TargetTable":
    """Return the targets of the settings file; without one, of ./cmpc.toml if there is one."""
    from cmpc_cost_models.targets.table import read_targets

    path, document = read_toml(toml_path)
    tables = document.get(TARGETS_TABLE, {})
    if not isinstance(tables, dict):
        raise BadSettings(f"[{TARGETS_TABLE}] in {path} must be a table, got {tables!r}")
    return read_targets(tables, origin=str(path))
