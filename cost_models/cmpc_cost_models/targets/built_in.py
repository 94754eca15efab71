"""What ``targets.toml`` holds: targets, their other names, and runtimes with their hashes."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

__all__ = ["TABLE_FILE", "built_in_tables"]

TABLE_FILE = "targets.toml"


@cache
def built_in_tables() -> Mapping[str, Any]:
    """Return the tables ``aliases``, ``targets`` and ``runtimes``."""
    text = (files("cmpc_cost_models.targets") / TABLE_FILE).read_text(encoding="utf-8")
    return MappingProxyType(tomllib.loads(text))
