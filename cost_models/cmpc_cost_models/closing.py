"""What holds a process, a folder or a connection is used in a ``with`` block, which closes it."""

from abc import ABC, abstractmethod
from typing import Self

__all__ = ["ClosedAtEnd"]


class ClosedAtEnd(ABC):
    """A context manager that closes itself."""

    @abstractmethod
    def close(self) -> None:
        """Give back what is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
