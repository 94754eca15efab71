"""Write docs/cli.md from what the commands themselves say, or check that it is up to date.

    python docs/cli_reference.py --write
    python docs/cli_reference.py --check

A page that people keep by hand is late after the first change; a test runs the check.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from cmpc.cli import command_line
from cmpc.errors import EXIT_CODES

PAGE = Path(__file__).with_name("cli.md")
WIDTH = 90
INTRODUCTION = """\
# The command line

Written by `make docs` from the commands' own help; change it there.

Data go to stdout: a table, or with `--json` one JSON document that carries `schema_version`. Talk
and progress go to stderr, and there is no bar where stderr is not a terminal.

| exit code | meaning |
| --- | --- |
{exit_codes}

Settings come from a TOML file (`--config`, or `./cmpc.toml`), then from the environment
(`CMPC_SEARCH_TRIALS` for the key `trials` of the table `[search]`), then from flags; the later
wins. A key that nobody knows is an error. `CMPC_CACHE` names the cache folder, `CMPC_CACHE_SIZE`
says how much it may take, and `CMPC_DEBUG=1` shows the traceback of an error.

The table `[compute]` is for all commands that train, embed or evaluate: `device` (`cpu`, `cuda`,
`cuda:1`), `threads` (processors to keep busy) and `processes` (how many train one network together,
a thread or more each; by default one a processor, at most 8, where a training has 150 steps or
more). Each takes an equal share of the `micro_batches` of a step, a setting of each training, 2 by
default: so two processes train together, however many processors there are, until it is set to
more. The number of processes decides no more than rounding. For several machines or devices,
`torchrun --nproc-per-node 2 -m cmpc ...` starts a command in each place.
"""


def main() -> None:
    """Write the page, or exit with 1 if it is not what would be written."""
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page(), encoding="utf-8")
    elif sys.argv[1:] != ["--check"]:
        sys.exit(__doc__)
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
        sys.exit("docs/cli.md must say what the commands say, and does not: run `make docs`")


def page() -> str:
    """Return the whole page."""
    exit_codes = "\n".join(f"| {code} | {what} |" for code, what in EXIT_CODES.items())
    introduction = INTRODUCTION.replace("{exit_codes}", exit_codes)
    return introduction + "".join(sections(command_line, "cmpc", None))


def sections(command: click.Command, name: str, above: click.Context | None) -> Iterator[str]:
    """Return the help of a command, then that of each command within."""
    context = command.make_context(name, [], parent=above, resilient_parsing=True)
    formatter = click.HelpFormatter(width=WIDTH)
    command.format_help(context, formatter)
    yield f"\n## {context.command_path}\n\n```text\n{formatter.getvalue().rstrip()}\n```\n"
    if isinstance(command, click.Group):
        for inner_name in command.list_commands(context):
            inner = command.get_command(context, inner_name)
            assert inner is not None, f"the group lists {inner_name} and has it not"
            yield from sections(inner, inner_name, context)


if __name__ == "__main__":
    main()
