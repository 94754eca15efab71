"""Which targets have a name? Those of ``targets.toml``, those of a user's file, and ``host``.

    [targets.my-board]          a table of the user's own; what it doesn't say is that of `like`
    like = "cortex-a72"
    clock_ghz = 1.8

A key that no target has is an error which names the nearest one: a misspelt clock that is then
ignored makes every predicted latency wrong.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cmpc_base.names import suggestion
from cmpc_cost_models.errors import BadArgument, UnknownTarget
from cmpc_cost_models.targets.machine import cpu_flags, cpu_model
from cmpc_cost_models.targets.system_calls import architecture, num_cpus
from cmpc_cost_models.targets.target import CacheBytes, Target, why_not_here

__all__ = ["HOST", "TargetTable", "aliases", "find_target", "read_targets", "target_names"]

HOST = "host"
TABLE_FILE = "targets.toml"
LIKE = "like"
X86_64_LEVELS = ("x86-64-v4", "x86-64-v3", "x86-64-v2")
CPU_FOLDER = Path("/sys/devices/system/cpu/cpu0")
KHZ_IN_GHZ = 1e6

TargetTable = Mapping[str, Target]
NO_TARGETS: TargetTable = MappingProxyType({})
KINDS: dict[str, tuple[type, ...]] = {"integer": (int,), "number": (int, float), "text": (str,)}


def find_target(name: str, own: TargetTable = NO_TARGETS) -> Target:
    """Return the target called ``name``; ``own`` are the user's, from ``read_targets``.

    Raises:
        UnknownTarget: no target has this name.
    """
    if name == HOST:
        return _host()
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
    return MappingProxyType(_document()["aliases"])


@cache
def _document() -> dict[str, Any]:
    return tomllib.loads(
        (files("cmpc_cost_models.targets") / TABLE_FILE).read_text(encoding="utf-8")
    )


@cache
def _built_in() -> TargetTable:
    rows = _document()["targets"]
    return MappingProxyType({name: _as_target(name, row, TABLE_FILE) for name, row in rows.items()})


def _as_target(name: str, row: Mapping[str, Any], where: str) -> Target:
    """Return one target after checking each key of its table."""
    known = {one.name for one in fields(Target)} - {"name"}
    _require_known(row, {*known, LIKE}, where)
    caches = row.get("cache_bytes")
    if isinstance(caches, dict):
        _require_known(caches, {one.name for one in fields(CacheBytes)}, f"cache_bytes of {where}")
    for key, value in row.items():
        if key in _KIND_OF_KEY and not _is_a(value, _KIND_OF_KEY[key]):
            raise BadArgument(f"{key!r} of {where} must be a {_KIND_OF_KEY[key]}, got {value!r}")
    try:
        return Target.from_json(dict(row) | {"name": name})
    except BadArgument as error:
        raise BadArgument(f"{where}: {error}") from error


_KIND_OF_KEY = {
    "triple": "text",
    "cpu": "text",
    "features": "list of texts",
    "abi": "text",
    "required_flags": "list of texts",
    "vector_bits": "integer",
    "num_cores": "integer",
    "clock_ghz": "number",
    "peak_flops_per_cycle": "number",
    "memory_gb_per_s": "number",
    "emulator_cpu": "text",
    "source": "text",
}


def _is_a(value: object, kind: str) -> bool:
    if kind == "list of texts":
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    return isinstance(value, KINDS[kind]) and not isinstance(value, bool)


def _require_known(row: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in row.keys() - known:
        raise BadArgument(
            f"{where} has a key {key!r}, but a target has none of this name; "
            f"{suggestion(key, sorted(known))}"
        )


def _host() -> Target:
    """Return the best target that this machine runs, with the facts that the machine tells."""
    row = _level_of_host()
    return replace(
        row,
        name=HOST,
        num_cores=num_cpus(),
        clock_ghz=_clock_ghz() or row.clock_ghz,
        cache_bytes=_cache_bytes() or row.cache_bytes,
        source=f"this machine ({cpu_model()}): flags, cores, clock and caches as Linux tells them; "
        f"operations per cycle and bandwidth of {row.name}, {row.source}",
    )


def _level_of_host() -> Target:
    table = _built_in()
    if architecture() == "aarch64":
        is_newer = cpu_flags() >= table["neoverse-n1"].required_flags
        return table["neoverse-n1" if is_newer else "cortex-a72"]
    for name in X86_64_LEVELS:
        if why_not_here("x86_64", table[name].required_flags) is None:
            return table[name]
    lacking = table["x86-64-v2"].required_flags - cpu_flags()
    raise UnknownTarget(
        "`host` must be an aarch64 or an x86-64-v2 processor, "
        f"got {architecture()} without {sorted(lacking)}; name a target"
    )


def _clock_ghz() -> float | None:
    """Return the highest clock that Linux tells, or the nominal one in the processor's name."""
    try:
        return int((CPU_FOLDER / "cpufreq" / "cpuinfo_max_freq").read_text()) / KHZ_IN_GHZ
    except (OSError, ValueError):
        found = re.search(r"@ ([\d.]+)GHz", cpu_model())
        return float(found[1]) if found else None


def _cache_bytes() -> CacheBytes | None:
    """Return the sizes of the data caches; ``None`` where Linux doesn't tell."""
    sizes = {"l1": 0, "l2": 0, "l3": 0}
    for folder in sorted((CPU_FOLDER / "cache").glob("index*")):
        try:
            kind, level, size = (
                (folder / name).read_text().strip() for name in ("type", "level", "size")
            )
        except OSError:
            continue
        if kind != "Instruction" and f"l{level}" in sizes and size.endswith("K"):
            sizes[f"l{level}"] = int(size[:-1]) * 1024
    return CacheBytes(**sizes) if sizes["l1"] else None
