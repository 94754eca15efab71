"""What must hold a study so that several processes, of which each may die, can work on it.

    join            a sign of life, which goes the moment its process does, however it dies
    turn            the study to oneself while it is decided what is done next: milliseconds
    create_study    Optuna's record of all trials, each commit whole or not at all

No process ever waits for a dead one, so nothing here has a heartbeat or a lease to choose. Today's
holder is a folder on one machine (``files``). A database server gives the same three things: rows
for the record, a session's lock for the turn, and the session itself for the sign of life.
"""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from cmpc_base.progress import OnNotice

if TYPE_CHECKING:  # a run knows where its study is, and does without Optuna's second
    import optuna

__all__ = ["Coordinator", "Worker"]


class Worker(ABC):
    """One process at work on a study, among others.

    Attributes:
        name: Unlike that of any other worker, ever.
    """

    name: str

    @abstractmethod
    def is_alive(self, name: str) -> bool:
        """Whether the worker of this name still works; call it in one's turn."""


class Coordinator(ABC):
    """Where a study is, and who works on it."""

    @abstractmethod
    def join(self) -> AbstractContextManager[Worker]:
        """Give a sign of life for as long as the context is open."""

    @abstractmethod
    def live_workers(self) -> tuple[str, ...]:
        """Return the names of all who work on the study; for those who don't."""

    @abstractmethod
    def turn(self, on_wait: OnNotice | None = None) -> AbstractContextManager[None]:
        """Hold the study alone while the context is open; wait for whoever holds it.

        ``on_wait`` is told for whom one waits, when that takes seconds.

        Raises:
            StudyUnavailable: another program keeps it.
        """

    @abstractmethod
    def wait_until_writable(self, on_wait: OnNotice | None = None) -> None:
        """Return when a trial's owner may write to it; that takes no turn.

        Raises:
            StudyUnavailable: another program keeps the study.
        """

    @abstractmethod
    def create_study(self) -> "optuna.Study":
        """Open the study, or begin it: reward up, cost down. Needs the turn."""

    @abstractmethod
    def load_study(self, on_wait: OnNotice | None = None) -> "optuna.Study":
        """Open the study to look at it.

        Raises:
            BadRun: there is none.
            StudyUnavailable: it is damaged, or another program keeps it.
        """

    @abstractmethod
    def translated_errors(self) -> AbstractContextManager[None]:
        """Turn what the storage raises inside the context into what its user can do about it.

        Raises:
            StudyUnavailable: it is damaged, kept by another program, or can't be written.
        """
