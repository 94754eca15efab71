"""How commands are found, and how they fail: each imported when called, errors told in one place.

    command body --raises--> CmpcGroup.invoke --> failures.as_click_error --> message, exit code

No command prints an error or chooses an exit code for one: it raises.
"""

import os
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, ClassVar

import click

from cmpc.cli.failures import as_click_error
from cmpc.commands import COMMANDS, CommandEntry
from cmpc_base.names import suggestion
from cmpc_base.printable import printable
from cmpc_base.registry import load_part

__all__ = ["CmpcGroup"]

TAKE_ANY_NAME = {"data", "doctor", "query", "run"}
"""Commands that open files by themselves; the libraries for networks take names in UTF-8 only."""


class CmpcGroup(click.Group):
    """A group that imports a command when it is called, and tells its errors as text and code."""

    table: ClassVar[Mapping[str, CommandEntry]] = COMMANDS

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the table's order, which is the order of work."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of one command, and of no other."""
        if cmd_name not in self.table:
            return None
        command = load_part(self.table[cmd_name].path)
        assert isinstance(command, click.Command), f"{self.table[cmd_name].path} is no command"
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that ``args`` start with, or name the nearest ones."""
        name = args[0]
        if name in self.table and name not in TAKE_ANY_NAME and not {"-h", "--help"} & {*args}:
            refuse_names_that_are_no_text(name, args)
        if name in self.table or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        hint = suggestion(name, self.table)
        raise click.UsageError(f"No command is called '{name}'; {hint}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table, so that help imports no command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.short_help) for name, entry in self.table.items()])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run as a program: an exit code is the command's, even where nobody can read the error."""
        is_program = kwargs.pop("standalone_mode", True)
        run: Callable[..., Any] = super().main
        if not is_program:
            return run(*args, standalone_mode=False, **kwargs)
        try:
            exit_code = run(*args, standalone_mode=False, **kwargs)
        except (click.ClickException, click.Abort, OSError) as error:
            told = error if isinstance(error, click.ClickException) else as_click_error(error)
            with suppress(OSError):  # standard error may be what can't be written
                told.show()
            sys.exit(told.exit_code)
        sys.exit(exit_code or 0)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; this is the one place where an error becomes a message and a code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # Click already knows how these end
        except (Exception, KeyboardInterrupt) as error:
            if ctx.params["debug"]:
                click.echo(traceback.format_exc(), err=True, nl=False)
            raise as_click_error(error) from error


def refuse_names_that_are_no_text(command: str, words: list[str]) -> None:
    """Refuse a path that a library would look for under another name."""
    for word in (*words, os.getcwd()):
        if (shown := printable(word)) != word:
            raise click.UsageError(
                f"`cmpc {command}` takes names of files and folders in UTF-8 only, since the "
                f"libraries it works with do, got {shown}; rename it, or go by another path"
            )
