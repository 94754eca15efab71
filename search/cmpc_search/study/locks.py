"""Who is at work on a study, such that `kill -9` is noticed at once and a slow worker never blamed.

The operating system drops a process' file locks the moment it dies, however it dies. So a worker
that holds the lock of its own file is alive, and one whose lock can be taken is not: no heartbeat,
no timeout to choose, no process number that another program may own by now.

POSIX record locks (`fcntl.lockf`) rather than `flock`: a forked child, such as a data loader that
outlives its parent for a moment, does not inherit them. They belong to a process, so two loops over
the same study must be two processes.
"""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Worker", "exclusive", "live_workers"]


def live_workers(folder: Path) -> tuple[str, ...]:
    """Return the names of the workers in ``folder`` that still run; not for workers themselves."""
    return tuple(path.stem for path in sorted(folder.glob("*.lock")) if _is_held(path))


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock of ``path`` while the block runs; wait for another process that has it."""
    with path.open("a") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield  # closing the file drops the lock


class Worker:
    """This process' sign of life in ``folder``, for as long as the context is open."""

    def __init__(self, folder: Path) -> None:
        self.name = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._folder = folder

    def __enter__(self) -> "Worker":
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = self._path(self.name).open("w")
        fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self

    def __exit__(self, *_: object) -> None:
        self._path(self.name).unlink(missing_ok=True)
        self._file.close()

    def is_alive(self, name: str) -> bool:
        """Whether the worker of this name still runs; call it with the study's lock held."""
        if name == self.name:
            return True  # opening and closing our own file would drop our lock
        if _is_held(self._path(name)):
            return True
        self._path(name).unlink(missing_ok=True)
        return False

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.lock"


def _is_held(path: Path) -> bool:
    try:
        file = path.open("r+")
    except FileNotFoundError:
        return False  # its worker ended in good order
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
