"""What every error that cmpc raises on purpose derives from; each package has its own tree below.

CmpcError
+-- BadArgument (ValueError)      a value breaks a stated condition
|   +-- UnknownName               no part of this kind has this name
+-- BadFile (ValueError)          a file can't be read as what it must be
+-- MachineFault (OSError)        disk, memory or rights that any work needs are not there
+-- MissingLibrary (ImportError)  what was asked for needs an extra that is not installed
"""

from collections.abc import Iterable
from typing import Self

from cmpc_base.names import nearest

__all__ = [
    "BadArgument",
    "BadFile",
    "CmpcError",
    "MachineFault",
    "MissingLibrary",
    "UnknownName",
]


class CmpcError(Exception):
    """Base of every error that a user can act on.

    Attributes:
        exit_code: What a command that fails with it exits with; docs/cli.md lists the codes.
    """

    exit_code = 1


class BadArgument(CmpcError, ValueError):
    """A value breaks a stated condition."""

    exit_code = 2

    @classmethod
    def among(cls, known: Iterable[str], what: str, name: object) -> Self:
        """Return the error that lists the ``known`` names of ``what``, and the nearest to this."""
        names = list(known)
        near = nearest(str(name), names)
        hint = f"; did you mean {near!r}?" if near else ""
        return cls(f"no {what} is called {name!r}; choose one of {', '.join(names)}{hint}")


class UnknownName(BadArgument):
    """No part of this kind has this name."""


class BadFile(CmpcError, ValueError):
    """A file is missing, damaged or not of the kind that it must be."""


class MachineFault(CmpcError, OSError):
    """The disk, the memory or the rights that any work here needs are not there."""


class MissingLibrary(CmpcError, ImportError):
    """What was asked for needs a library or a program that is not installed."""

    exit_code = 2
