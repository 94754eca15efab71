"""Which processes work on a study: `kill -9` is noticed at once, and a slow worker never blamed.

A worker that holds the lock of its own file is alive, and one whose lock can be taken is not: no
heartbeat, no timeout to choose, no process number that another program may own by now. The lock
belongs to a process, see `cmpc_base.locks`, so two loops over one study must be two processes.
"""

import os
import uuid
from pathlib import Path

from cmpc_base.locks import LockOwner, is_held, try_lock
from cmpc_search.study.coordination.base import Worker

__all__ = ["FileWorker", "live_workers"]


def live_workers(folder: Path) -> tuple[str, ...]:
    """Return the names of the workers in ``folder`` that still run; not for workers themselves."""
    return tuple(path.stem for path in sorted(folder.glob("*.lock")) if is_held(path))


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
