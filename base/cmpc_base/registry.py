"""A table of names, each of which stands for a part that is loaded when it is asked for.

    METHODS = Registry("compatibility method", {"bct": "cmpc_search.compatibility.bct:Bct", ...})
    METHODS.load("bct")

Naming parts costs nothing: what they need, such as torch or TVM, is imported with the one that is
used.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Generic, TypeVar

from cmpc_base.errors import BadArgument, UnknownName

__all__ = ["Registry", "load_part"]

Part = TypeVar("Part")


def load_part(path: str) -> Any:
    """Return what ``path``, a ``module:attribute``, names; the module is imported now."""
    module, attribute = path.split(":")
    return getattr(import_module(module), attribute)


@dataclass(frozen=True, slots=True)
class Registry(Generic[Part]):
    """Names of parts of one kind.

    Attributes:
        kind: What the parts are, as in "no ... is called x".
        table: Where each part is, as ``module:attribute``, by name.
    """

    kind: str
    table: Mapping[str, str]

    def __iter__(self) -> Iterator[str]:
        return iter(self.table)

    def __len__(self) -> int:
        return len(self.table)

    def __contains__(self, name: object) -> bool:
        return name in self.table

    def load(self, name: str) -> Part:
        """Return the part of this name, imported now if it wasn't yet.

        Raises:
            UnknownName: there is none; the error lists all names, and the nearest.
        """
        part: Part = load_part(self._path(name))
        return part

    def check(self, name: str) -> None:
        """Raise UnknownName unless there is a part of this name."""
        self._path(name)

    def extended(self, more: Mapping[str, str]) -> "Registry[Part]":
        """Return a registry that has these parts too.

        Raises:
            BadArgument: a name is taken.
        """
        if taken := sorted(self.table.keys() & more.keys()):
            raise BadArgument(
                f"each {self.kind} must have a name of its own, {', '.join(taken)} is taken already"
            )
        return Registry(self.kind, {**self.table, **more})

    def _path(self, name: str) -> str:
        if name not in self.table:
            raise UnknownName.among(self.table, self.kind, name)
        return self.table[name]
