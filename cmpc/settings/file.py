"""The settings file: TOML, named with --config or ./cmpc.toml."""

import tomllib
from pathlib import Path
from typing import Any

from cmpc.errors import BadSettings

__all__ = ["COMPUTE_TABLE", "DEFAULT_FILE", "TARGETS_TABLE", "read_toml"]

DEFAULT_FILE = "cmpc.toml"
TARGETS_TABLE = "targets"  # of the user's own
COMPUTE_TABLE = "compute"  # of all commands that compute; every other table is a command's


def read_toml(toml_path: Path | None) -> tuple[Path, dict[str, Any]]:
    """Return the settings file and what it says; nothing where there is no ./cmpc.toml.

    Raises:
        BadSettings: it is no TOML.
    """
    path = toml_path or Path(DEFAULT_FILE)
    if toml_path is None and not path.exists():
        return path, {}
    try:
        # Some editors write a byte order mark, which is not a part of the text.
        return path, tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path} must be a TOML file, and is not: {error}") from None
