"""How large the cache may be: the option of all commands that fill it, and what keeps it so."""

import re
from contextlib import suppress
from pathlib import Path

import click

__all__ = ["CACHE_SIZE", "SIZE", "cache_size_option", "shown_size"]

UNITS: dict[str, int] = {"": 1, "B": 1} | {
    f"{letter}{i}B": base**power
    for power, letter in enumerate("KMGT", start=1)
    for i, base in (("", 1000), ("I", 1024))
}
CACHE_SIZE = "20 GB"
"""What a cache may take if nobody says otherwise: some dozen searches on a few data sets, with all
that they compile, and less than a tenth of a small laptop's disk."""


class SizeType(click.ParamType[int]):
    """A number of bytes, such as "20 GB" or "512MiB"."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(value), re.IGNORECASE)
        if match is None or match[2].upper() not in UNITS:
            self.fail(
                f"a size must be a number with or without a unit such as MB, GB or GiB, "
                f'got {value!r}; write "20 GB"',
                param,
                ctx,
            )
        return round(float(match[1]) * UNITS[match[2].upper()])


SIZE = SizeType()


def shown_size(num_bytes: int) -> str:
    """Write a number of bytes for people, in units of 1000."""
    size, unit = float(num_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.3g} {unit}" if size < 1000 else f"{size:.0f} {unit}"


def _keep_within(ctx: click.Context, _: click.Parameter, limit_bytes: int) -> int:
    """Trim the cache when the command ends, however it ends."""
    if not ctx.resilient_parsing:
        ctx.call_on_close(lambda: _trim(ctx.params.get("cache_dir"), limit_bytes))
    return limit_bytes


cache_size_option = click.option(
    "--cache-size",
    type=SIZE,
    envvar="CMPC_CACHE_SIZE",
    show_envvar=True,
    default=CACHE_SIZE,
    show_default=True,
    metavar="SIZE",
    expose_value=False,
    callback=_keep_within,
    help="How much the cache may take: above that, what was used longest ago goes when the command "
    "ends.",
)


def _trim(cache_dir: Path | None, limit_bytes: int) -> None:
    if cache_dir is None or not cache_dir.is_dir():
        return
    from cmpc.output import say
    from cmpc_base.cache import Cache
    from cmpc_base.trimming import trim

    with suppress(OSError):  # another user's entries; the command has done what it was asked for
        done = trim(Cache(cache_dir), to_bytes=limit_bytes)
        if done.removed:
            freed = shown_size(sum(entry.num_bytes for entry in done.removed))
            say(
                f"the cache was above {shown_size(limit_bytes)}: {len(done.removed)} entries "
                f"({freed}), unused for longest, are gone; `cmpc cache show` tells what is left"
            )
