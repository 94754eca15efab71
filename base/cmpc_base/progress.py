"""How long work tells how far it is; who shows it is the caller's business."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

__all__ = ["SILENT", "Observer", "OnNotice", "Progress"]

OnNotice = Callable[[str], None]
"""Told in a sentence what a user should hear, such as for whom one waits."""


class Progress(Protocol):
    """Told how many steps are done, of how many, and what came of the latest one."""

    def __call__(self, num_done: int, total: int, note: str = "", /) -> None: ...


class Observer(Protocol):
    """Shows the progress of one part of the work after another, and what a user must hear now."""

    def progress(self, description: str) -> AbstractContextManager[Progress]:
        """Show how far the block is."""

    def notice(self, message: str) -> None:
        """Tell a sentence at once."""


class Silence:
    """The observer of those who want the result alone."""

    @contextmanager
    def progress(self, description: str) -> Iterator[Progress]:
        yield lambda num_done, total, note="": None

    def notice(self, message: str) -> None:
        pass


SILENT: Observer = Silence()
