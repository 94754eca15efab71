"""How long work tells how far it is; who shows it is the caller's business."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

__all__ = ["SILENT", "Observer", "OnNotice", "Progress", "ShowProgress", "Steps"]

Progress = Callable[[int, int], None]
"""Called with how many steps are done, and of how many."""

OnNotice = Callable[[str], None]
"""Told in a sentence what a user should hear."""

ShowProgress = Callable[[str], AbstractContextManager[Progress]]
"""Shows how far a part is, under the name that it is given."""


class Steps(Protocol):
    """Told how many steps are done, of how many, and what came of the latest one."""

    def __call__(self, num_done: int, total: int, note: str = "") -> None: ...


class Observer(Protocol):
    """Shows the progress of one part of the work after another, and what a user must hear now."""

    def progress(self, description: str) -> AbstractContextManager[Steps]:
        """Show how far the block is."""

    def notice(self, message: str) -> None:
        """Tell a sentence at once."""


class Silence:
    """The observer of those who want the result alone."""

    @contextmanager
    def progress(self, description: str) -> Iterator[Steps]:
        yield lambda num_done, total, note="": None

    def notice(self, message: str) -> None:
        pass


SILENT: Observer = Silence()
