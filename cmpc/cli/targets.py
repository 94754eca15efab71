"""What can networks be compiled for, and what is missing here for it?"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.cli.options import cache_dir_option, config_option, json_option

if TYPE_CHECKING:
    from cmpc_cost_models.targets.table import TargetTable
    from cmpc_cost_models.targets.target import Target
    from cmpc_cost_models.targets.toolchain import Toolchain

__all__ = ["targets"]


@click.group()
def targets() -> None:
    """List what networks can be compiled for, and fetch what a target needs.

    A settings file may add targets of its own, in tables [targets.NAME]; the key `like` names the
    target that all other keys are taken from.

    \b
    Examples:
      cmpc targets list
      cmpc targets fetch arm
    """


@targets.command("list")
@config_option
@cache_dir_option
@json_option
def list_targets(toml_path: Path | None, cache_dir: Path, as_json: bool) -> None:
    """List the targets, and whether their networks can be built and run here.

    \b
    Examples:
      cmpc targets list
      cmpc targets list --json
    """
    from cmpc.cli.publishing import publish
    from cmpc.output import make_table
    from cmpc.reports.base import Report
    from cmpc.settings.targets import own_targets
    from cmpc_cost_models.targets.table import aliases
    from cmpc_cost_models.targets.toolchain import find_toolchain

    found = _known_targets(own_targets(toml_path))
    tools = [find_toolchain(target, cache_dir=cache_dir) for target in found]
    rows = [_row(*pair) for pair in zip(found, tools, strict=True)]
    columns = ("target", "processor", "cores", "GHz", "vector", "GFLOP/s a core", "GB/s", "here")
    document = {
        "targets": [
            target.to_json() | {"toolchain": tool.to_json()}
            for target, tool in zip(found, tools, strict=True)
        ],
        "aliases": dict(aliases()),
    }
    title = ", ".join(f"{alias} is {name}" for alias, name in aliases().items())
    table = make_table(columns, rows, title=title)
    publish(Report(document=document, tables=(table,)), as_json=as_json)


@targets.command()
@click.argument("name", metavar="TARGET")
@config_option
@cache_dir_option
@json_option
def fetch(name: str, toml_path: Path | None, cache_dir: Path, as_json: bool) -> None:
    """Fetch TVM's runtime for a target's processor, with pip.

    Two packages of the installed release, made for that processor; only files whose hashes cmpc
    knows are taken. They are kept in the cache, and `cmpc build` puts their libraries into bundles.

    \b
    Example:
      cmpc targets fetch arm
    """
    from cmpc.cli.publishing import publish
    from cmpc.output import say
    from cmpc.reports.base import facts_report
    from cmpc.settings.targets import named_target
    from cmpc_cost_models.targets.runtimes import fetch_runtime, find_runtime, wheels_for

    target = named_target(name, toml_path)
    wheels = wheels_for(target)
    if wheels is not None and find_runtime(target, cache_dir=cache_dir) is None:
        packages = [f"{one} {wheels[one]['version']}" for one in wheels if one != "platforms"]
        say(f"fetching {' and '.join(packages)} for {target.architecture} with pip")
    folder = fetch_runtime(target, cache_dir=cache_dir)
    shown: dict[str, object] = {"target": target.name, "runtime": folder}
    publish(facts_report("fetched", shown), as_json=as_json)


def _known_targets(own: "TargetTable") -> "list[Target]":
    """Return all targets; a machine that is none itself, which is said, compiles for the others."""
    from cmpc.output import say
    from cmpc_cost_models.errors import UnknownTarget
    from cmpc_cost_models.targets.table import HOST, aliases, find_target, target_names

    names = [name for name in (*target_names(), *own) if name not in aliases()]
    try:
        find_target(HOST)
    except UnknownTarget as error:
        say(str(error))
        names.remove(HOST)
    return [find_target(name, own) for name in names]


def _row(target: "Target", tool: "Toolchain") -> tuple[object, ...]:
    runs = "runs" if not tool.emulator else "compiles, runs under qemu"
    return (
        target.name,
        target.cpu,
        target.num_cores,
        target.clock_ghz,
        target.vector_bits,
        target.peak_gflops,
        target.memory_gb_per_s,
        runs if tool.can_execute else "; ".join(tool.lacking),
    )
