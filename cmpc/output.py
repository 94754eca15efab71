"""Data go to stdout, talk goes to stderr: what a command prints, and for whom.

emit()      stdout   a table for people, or with --json one document for programs
say()       stderr   one line of talk
progress()  stderr   how far work is; in `cmpc.progress`
"""

import dataclasses
import io
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.errors import OutputFailed
from cmpc_base.printable import printable, screen_text

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["SCHEMA_VERSION", "emit", "make_table", "plain", "say"]

SCHEMA_VERSION = 1
UNLIMITED_WIDTH = 10_000  # a file or a pipe has no edge: nothing may be cut off there


def emit(payload: Mapping[str, object], table: "Table | None", *, as_json: bool) -> None:
    """Print a command's answer on stdout: the table, or the payload as one JSON document.

    Raises:
        OutputFailed: it can't be written.
    """
    try:
        if as_json:
            # Escaping all but ASCII keeps the document whole whatever the terminal's encoding.
            document = {"schema_version": SCHEMA_VERSION, **plain_mapping(payload)}
            click.echo(json.dumps(document, indent=2))
        elif table is not None:
            print_table(table)
    except BrokenPipeError:
        raise  # a reader such as `head` has seen enough
    except OSError as error:
        raise OutputFailed(
            f"the answer must be written to standard output, and can't be: {error.strerror}"
        ) from error


def print_table(table: "Table") -> None:
    """Print a table as wide as it needs in a pipe, as wide as the window on a terminal."""
    from rich.console import Console

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal in Latin-1 shows \u732b
    console = Console()
    if console.is_terminal:
        console.print(table)
        return
    wide = Console(width=UNLIMITED_WIDTH)
    with wide.capture() as captured:
        wide.print(table)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def make_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None
) -> "Table":
    """Return a table in the one style of cmpc; columns that hold numbers only are flush right.

    Text is shown as it is: what stands in brackets is not taken for rich's markup.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    listed = [list(row) for row in rows]
    heading = None if title is None else Text(screen_text(title), style="bold")
    table = Table(title=heading, title_justify="left")
    table.box, table.show_edge = box.SIMPLE_HEAD, False
    for position, column in enumerate(columns):
        numeric = bool(listed) and all(is_number(row[position]) for row in listed)
        table.add_column(
            Text(screen_text(column)), justify="right" if numeric else "left", overflow="fold"
        )
    for row in listed:
        table.add_row(*(cell if isinstance(cell, Text) else Text(as_text(cell)) for cell in row))
    return table


def is_number(cell: object) -> bool:
    """Tell whether a cell lines up with numbers; a cell without a value does."""
    return cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool))


def as_text(cell: object) -> str:
    """Write one cell: four significant digits are what a reader can use."""
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if not isinstance(cell, float):
        return screen_text(cell)
    return f"{cell:.0f}" if 1000 <= abs(cell) < 1e15 else f"{cell:.4g}"


def plain(value: object) -> object:
    """Return what JSON can say of a value; a number that is not finite becomes null."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str | Path):
        return printable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return plain_mapping(value)
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    if hasattr(value, "item"):  # a NumPy scalar
        return plain(value.item())
    raise TypeError(f"no JSON form is known for a {type(value).__name__}")


def plain_mapping(mapping: Mapping[str, object]) -> dict[str, object]:
    """Return a mapping whose values JSON can say."""
    return {printable(key): plain(value) for key, value in mapping.items()}


def say(message: str) -> None:
    """Tell the user something that is not data; work goes on when nobody can hear it."""
    with suppress(OSError):  # the terminal was closed, or a log's disk is full
        click.echo(screen_text(message), err=True)
