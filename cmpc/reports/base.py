"""What every report gives: the same result for programs, for people, and whether to trust it.

result --report--> Report --cmpc.cli.publishing--> stdout, stderr, exit code
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cmpc.output import make_table

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Report", "facts_report"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """A result as it is told.

    Attributes:
        document: All that is known, for programs.
        tables: For people.
        sentences: What a table can't show; said whether there are tables or a document.
        doubts: Why a measured time may not be trusted.
        unknowns: Which costs nobody can tell, and why.
    """

    document: Mapping[str, object]
    tables: "tuple[Table, ...]" = ()
    sentences: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    unknowns: tuple[str, ...] = ()


def facts_report(title: str, facts: Mapping[str, object], **more: object) -> Report:
    """Report facts as a table of two columns; ``more`` is in the document only."""
    return Report(document={**facts, **more}, tables=(make_table([title, ""], facts.items()),))
