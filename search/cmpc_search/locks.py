"""Who is at work on something: `kill -9` is noticed at once, and a slow worker never blamed.

The operating system drops a process' file locks the moment it dies, however it dies. So a worker
that holds the lock of its own file is alive, and one whose lock can be taken is not: no heartbeat,
no timeout to choose, no process number that another program may own by now.

POSIX record locks (`fcntl.lockf`) rather than `flock`: a forked child, such as a data loader that
outlives its parent for a moment, does not inherit them. They belong to a process, so two loops over
the same study must be two processes.
"""

import fcntl
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

__all__ = ["PATIENCE_S", "Worker", "exclusive", "holder_of", "live_workers", "workers_folder"]

PATIENCE_S = 2.0  # locks are held for milliseconds; who waits longer should know for whom
KERNEL_LOCKS = Path("/proc/locks")


def workers_folder(study_path: Path) -> Path:
    """Return where those who are at work on the study in this file give their sign of life."""
    return study_path.with_name(f"{study_path.name}.workers")


def live_workers(folder: Path) -> tuple[str, ...]:
    """Return the names of the workers in ``folder`` that still run; not for workers themselves."""
    return tuple(path.stem for path in sorted(folder.glob("*.lock")) if _is_held(path))


@contextmanager
def exclusive(path: Path, *, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock of ``path`` while the block runs; wait for another process that has it.

    ``on_wait`` is told who holds it, such as "process 4711", when that takes seconds.
    """
    with path.open("a") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            _wait_for(file, path, on_wait)
        yield  # closing the file drops the lock


def _wait_for(file: TextIO, path: Path, on_wait: Callable[[str], None] | None) -> None:
    """Wait as the system lets us, first come, first served; a timer speaks up meanwhile."""
    tell = threading.Timer(PATIENCE_S, lambda: on_wait and on_wait(holder_of(path)))
    tell.daemon = True
    tell.start()
    try:
        fcntl.lockf(file, fcntl.LOCK_EX)
    finally:
        tell.cancel()


def holder_of(*paths: Path) -> str:
    """Say which process holds a lock on one of ``paths``: "process 4711", or "another process".

    Linux tells. To open a file and ask would drop our own locks on it.
    """
    places = {_place(path) for path in paths if path.exists()}
    try:
        rows = [row.split() for row in KERNEL_LOCKS.read_text().splitlines()]
    except OSError:
        rows = []
    for row in rows:
        # 1: POSIX  ADVISORY  WRITE 4711 fd:00:2531452 0 EOF; those that wait have "->" in front
        if len(row) == 8 and row[5] in places and int(row[4]) not in (-1, 0, os.getpid()):
            return f"process {row[4]}"
    return "another process"


def _place(path: Path) -> str:
    """Name the file as the kernel's table does: device and inode."""
    stat = path.stat()
    return f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}:{stat.st_ino}"


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
