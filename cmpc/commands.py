"""Which commands exist, in the order in which a user meets them.

Each row says in one line what the command does, so that `cmpc --help` shows them all and imports
none. A test holds each line equal to the first sentence of the command's own help.
"""

from dataclasses import dataclass

__all__ = ["COMMANDS", "CommandEntry"]


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """Where a command lives and what it does.

    Attributes:
        path: ``module:attribute``.
        reads_settings: Whether a settings file may have a table of the command's name.
    """

    path: str
    short_help: str
    reads_settings: bool = False


COMMANDS = {
    "doctor": CommandEntry(
        "cmpc.cli.doctor:doctor", "Check that this machine has what cmpc needs."
    ),
    "data": CommandEntry("cmpc.cli.data:data", "List, prepare and look at data sets."),
    "run": CommandEntry(
        "cmpc.cli.run:run", "Embed pictures with the compiled network of a bundle."
    ),
    "index": CommandEntry(
        "cmpc.cli.index:index",
        "Turn gallery embeddings into an index that `cmpc query` searches.",
    ),
    "query": CommandEntry(
        "cmpc.cli.query:query", "Find the gallery items that look like a picture."
    ),
}
