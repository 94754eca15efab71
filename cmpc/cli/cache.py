"""The commands that say what the cache holds, and make it smaller."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from cmpc.cli.cache_size import CACHE_SIZE, SIZE, shown_size
from cmpc.cli.options import cache_dir_option, json_option
from cmpc_base.cache import KINDS, Cache, Kind
from cmpc_base.trimming import Entry, Trimmed

__all__ = ["cache"]


@click.group()
def cache() -> None:
    """Show what the cache holds, and make it smaller.

    In it is what depends on the machine, on cmpc's own code or on data, and not on one run:
    prepared data, views, compiled networks, tuned schedules, downloads. A run goes on without any
    of it, and makes again what it needs.

    \b
    Examples:
      cmpc cache show
      cmpc cache trim --to "5 GB"
    """


@cache.command()
@cache_dir_option
@json_option
def show(cache_dir: Path, as_json: bool) -> None:
    """List what the cache holds: entries, their size and their last use, kind by kind.

    \b
    Examples:
      cmpc cache show
      cmpc cache show --json
    """
    from cmpc.cli.publishing import publish
    from cmpc.output import make_table
    from cmpc.reports.base import Report
    from cmpc_base.trimming import entries_of

    entries = entries_of(Cache(cache_dir))
    kinds = [_facts_of(kind, [one for one in entries if one.kind == kind]) for kind in KINDS]
    num_bytes = sum(entry.num_bytes for entry in entries)
    document = {"cache": cache_dir, "num_bytes": num_bytes, "kinds": kinds}
    rows = [
        (
            row["kind"],
            row["what"],
            row["num_entries"],
            shown_size(sum(one.num_bytes for one in entries if one.kind.name == row["kind"])),
            row["last_used_at"] or "-",
            "by itself" if row["is_made_again"] else "when asked for",
        )
        for row in kinds
    ]
    columns = ("kind", "what it is", "entries", "size", "last used", "is removed")
    title = f"{cache_dir}: {shown_size(num_bytes)}"
    table = make_table(columns, rows, title=title)
    publish(Report(document=document, tables=(table,)), as_json=as_json)


@cache.command()
@click.option(
    "--to",
    "to_bytes",
    type=SIZE,
    envvar="CMPC_CACHE_SIZE",
    show_envvar=True,
    default=CACHE_SIZE,
    show_default=True,
    metavar="SIZE",
    help='How much may be left, such as "5 GB" or 0.',
)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice([kind.name for kind in KINDS]),
    help="Remove from these kinds only; may be given again.  "
    "[default: all that cmpc makes again by itself]",
)
@cache_dir_option
@json_option
def trim(to_bytes: int, kinds: Sequence[str], cache_dir: Path, as_json: bool) -> None:
    """Remove what was used longest ago, until the cache takes no more than a size.

    What a running command uses stays. So does what only a download or hours of tuning bring back,
    unless its kind is named: packages, runtimes, schedules, benchmarks. What killed processes left
    behind goes in any case.

    \b
    Examples:
      cmpc cache trim
      cmpc cache trim --to "5 GB"
      cmpc cache trim --to 0 --kind schedules
    """
    from cmpc.cli.publishing import publish
    from cmpc.output import make_table
    from cmpc.progress import progress
    from cmpc.reports.base import Report
    from cmpc_base import trimming

    with progress("Trimming the cache") as steps:
        done = trimming.trim(Cache(cache_dir), to_bytes=to_bytes, kinds=kinds, progress=steps)
    facts = _facts_of_trimming(done, to_bytes)
    shown = {name: shown_size(n) if "bytes" in name else n for name, n in facts.items()}
    table = make_table(["trimmed", ""], shown.items())
    publish(Report(document=facts, tables=(table,)), as_json=as_json)
    _say_what_stays(done, to_bytes)


def _facts_of(kind: Kind, entries: Sequence[Entry]) -> dict[str, object]:
    last = max((entry.used_at for entry in entries), default=None)
    return {
        "kind": kind.name,
        "what": kind.what,
        "num_entries": len(entries),
        "num_bytes": sum(entry.num_bytes for entry in entries),
        "last_used_at": None
        if last is None
        else datetime.fromtimestamp(last, UTC).isoformat(sep=" ", timespec="minutes"),
        "is_made_again": kind.is_made_again,
    }


def _facts_of_trimming(done: Trimmed, to_bytes: int) -> dict[str, int]:
    return {
        "num_removed": len(done.removed),
        "num_bytes_removed": sum(entry.num_bytes for entry in done.removed),
        "num_leftovers_removed": len(done.swept),
        "num_in_use": len(done.in_use),
        "num_bytes_left": done.num_bytes_left,
        "limit_bytes": to_bytes,
    }


def _say_what_stays(done: Trimmed, to_bytes: int) -> None:
    """Tell why a cache is still too large."""
    from cmpc.output import say

    if done.num_bytes_left <= to_bytes:
        return
    if done.in_use:
        say(f"{len(done.in_use)} entries stay, since running processes use them: trim again later")
    asked = ", ".join(kind.name for kind in KINDS if not kind.is_made_again)
    say(f"{shown_size(done.num_bytes_left)} are left; of {asked} nothing goes without --kind")
