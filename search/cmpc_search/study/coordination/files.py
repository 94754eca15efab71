"""A study in a folder of this machine: an SQLite file, and locks of the operating system.

study.db            the record, see ``sqlite``
study.db.lock       whose turn it is
study.db.workers/   a locked file for each process at work

A worker that holds the lock of its own file is alive, and one whose lock can be taken is not: no
heartbeat, no timeout to choose, no process number that another program may own by now. The lock
belongs to a process, see `cmpc_base.locks`, so two loops over one study must be two processes.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna

from cmpc_base.locks import LockOwner, exclusive, is_held, try_lock
from cmpc_base.progress import OnNotice
from cmpc_search.study.coordination import sqlite
from cmpc_search.study.coordination.base import Coordinator, Worker

__all__ = ["FileCoordinator", "FileWorker"]


@dataclass(frozen=True, slots=True)
class FileCoordinator(Coordinator):
    """Coordinates the processes of one machine through files beside the study's."""

    study_path: Path

    def join(self) -> "FileWorker":
        return FileWorker(self._workers_folder)

    def live_workers(self) -> tuple[str, ...]:
        locks = sorted(self._workers_folder.glob("*.lock"))
        return tuple(path.stem for path in locks if is_held(path))

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


class FileWorker(Worker):
    """This process' sign of life in ``folder``, for as long as the context is open."""

    def __init__(self, folder: Path) -> None:
        self.name = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._folder = folder

    def __enter__(self) -> "FileWorker":
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = self._path(self.name).open("w")
        taken = try_lock(self._file, LockOwner.PROCESS)
        assert taken, "nobody else knows the name"
        return self

    def __exit__(self, *_: object) -> None:
        self._path(self.name).unlink(missing_ok=True)
        self._file.close()

    def is_alive(self, name: str) -> bool:
        """Whether the worker of this name still runs; call it with the study's lock held."""
        if name == self.name:
            return True  # opening and closing our own file would drop our lock
        if is_held(self._path(name)):
            return True
        self._path(name).unlink(missing_ok=True)
        return False

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.lock"
