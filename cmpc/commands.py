"""Which commands exist, in the order in which a user meets them.

Each row says in one line what the command does, so that `cmpc --help` shows them all and imports
none. A test holds each line equal to the first sentence of the command's own help.
"""

from dataclasses import dataclass

__all__ = ["COMMANDS", "CommandEntry"]


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """Where a command lives, as ``module:attribute``, and what it does, in one line."""

    path: str
    short_help: str


COMMANDS = {
    "doctor": CommandEntry(
        "cmpc.cli.doctor:doctor", "Check that this machine has what cmpc needs."
    ),
}
