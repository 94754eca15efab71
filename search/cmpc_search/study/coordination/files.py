"""A study in a folder of this machine: an SQLite file, and locks of the operating system.

study.db            the record, see ``sqlite``
study.db.lock       whose turn it is
study.db.workers/   a locked file for each process at work, see ``workers``
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna

from cmpc_base.locks import exclusive
from cmpc_base.progress import OnNotice
from cmpc_search.study.coordination import sqlite
from cmpc_search.study.coordination.base import Coordinator
from cmpc_search.study.coordination.workers import FileWorker, live_workers

__all__ = ["FileCoordinator"]


@dataclass(frozen=True, slots=True)
class FileCoordinator(Coordinator):
    """Coordinates the processes of one machine through files beside the study's."""

    study_path: Path

    def join(self) -> FileWorker:
        return FileWorker(self._workers_folder)

    def live_workers(self) -> tuple[str, ...]:
        return live_workers(self._workers_folder)

    @contextmanager
    def turn(self, on_wait: OnNotice | None = None) -> Iterator[None]:
        """Exclude our own processes by the lock, and wait for other programs."""
        path = self.study_path
        lock_path = path.with_name(f"{path.name}.lock")
        with exclusive(lock_path, doing=f"works on {path}", on_wait=on_wait):
            self.wait_until_writable(on_wait)
            yield

    def wait_until_writable(self, on_wait: OnNotice | None = None) -> None:
        with self.translated_errors():
            sqlite.wait_for_turn(self.study_path, on_wait)

    def create_study(self) -> optuna.Study:
        return sqlite.create_study(self.study_path)

    def load_study(self, on_wait: OnNotice | None = None) -> optuna.Study:
        return sqlite.load_study(self.study_path, on_notice=on_wait)

    def translated_errors(self) -> AbstractContextManager[None]:
        return sqlite.translated_errors(self.study_path)

    @property
    def _workers_folder(self) -> Path:
        return self.study_path.with_name(f"{self.study_path.name}.workers")
