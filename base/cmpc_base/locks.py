"""One process at a time: `kill -9` is noticed at once, and a slow holder never blamed.

The operating system drops the locks of files the moment their holder dies, however it dies: no
lock is ever stale, there is no heartbeat and no timeout to choose. Such a lock has one of two
owners:

    PROCESS    `fcntl.lockf`; a forked child, such as a data loader that outlives its parent for a
               moment, does not inherit it. Threads of one process do not exclude one another, and
               closing any file of that path gives it back.
    OPEN_FILE  `fcntl.flock`; each opening of the path is another owner, so threads exclude one
               another too; a forked child shares it.

Locks need POSIX. Elsewhere this module can be imported, and taking a lock is an OSError.
"""

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import IO, Any, TextIO

from cmpc_base.progress import OnNotice

__all__ = [
    "PATIENCE_S",
    "LockOwner",
    "exclusive",
    "exclusive_if_possible",
    "holder_of",
    "is_held",
    "lock",
    "open_locked",
    "try_lock",
    "waiting_notice",
]

PATIENCE_S = 2.0  # locks are held for milliseconds; who waits longer should know for whom
KERNEL_LOCKS = Path("/proc/locks")


class LockOwner(Enum):
    """Whose a lock is, see above."""

    PROCESS = "lockf"
    OPEN_FILE = "flock"


@contextmanager
def exclusive(path: Path, *, doing: str, on_wait: OnNotice | None = None) -> Iterator[None]:
    """Hold the lock of ``path``, which this process owns, while the block runs; wait for it.

    Args:
        doing: What whoever holds it does, for those who wait: "trains in runs/a".
        on_wait: Told for whom one waits, "waiting for process 4711, which trains in runs/a", when
            that takes seconds.

    Raises:
        OSError: the system refuses the file, or locks on this file system.
    """
    with path.open("a") as file:
        lock(file, LockOwner.PROCESS, doing=doing, on_wait=on_wait)
        yield  # closing the file drops the lock


@contextmanager
def exclusive_if_possible(
    path: Path, owner: LockOwner, *, doing: str, on_wait: OnNotice | None = None
) -> Iterator[None]:
    """Do as `exclusive` does, but run the block all the same where there are no locks.

    It is for work of which two processes at once would write the same bytes.

    Raises:
        OSError: the system refuses the file.
    """
    with path.open("a") as file:
        with suppress(OSError):
            lock(file, owner, doing=doing, on_wait=on_wait)
        yield  # closing the file drops the lock


def open_locked(path: Path) -> TextIO:
    """Open ``path``, and return the file, which owns its lock until it is closed.

    Raises:
        BlockingIOError: another opening of the path has the lock.
        OSError: the system refuses the file, or locks on this file system.
    """
    file = path.open("a")
    try:
        if try_lock(file, LockOwner.OPEN_FILE):
            return file
        raise BlockingIOError(errno.EAGAIN, "another process has the lock", str(path))
    except OSError:
        file.close()
        raise


def try_lock(file: IO[Any], owner: LockOwner) -> bool:
    """Take the lock of an open file, unless another owner has it; closing the file drops it.

    Raises:
        OSError: the system refuses locks on this file system, or has none.
    """
    fcntl = _posix_locks()
    try:
        getattr(fcntl, owner.value)(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # POSIX lets a system say either
        return False
    return True


def is_held(path: Path) -> bool:
    """Tell whether another process holds the lock of ``path``, which is no lock of our own.

    To open our own and close it would drop it.

    Raises:
        OSError: the system refuses the file, or locks on this file system.
    """
    try:
        file = path.open("r+")
    except FileNotFoundError:
        return False
    with file:
        return not try_lock(file, LockOwner.PROCESS)


def lock(file: IO[Any], owner: LockOwner, *, doing: str, on_wait: OnNotice | None = None) -> None:
    """Take the lock of an open file, and wait for it, first come, first served.

    Args:
        doing, on_wait: As in `exclusive`.

    Raises:
        OSError: as `try_lock`.
    """
    if try_lock(file, owner):
        return
    fcntl = _posix_locks()
    path = Path(file.name)

    def notify() -> None:
        if on_wait is not None:
            on_wait(waiting_notice(doing, path))

    tell = threading.Timer(PATIENCE_S, notify)
    tell.daemon = True
    tell.start()
    try:
        getattr(fcntl, owner.value)(file, fcntl.LOCK_EX)
    finally:
        tell.cancel()


def waiting_notice(doing: str, *paths: Path) -> str:
    """Return "waiting for process 4711, which ...": who holds a lock on one of ``paths``."""
    return f"waiting for {holder_of(*paths)}, which {doing}"


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


def _posix_locks() -> ModuleType:
    try:
        import fcntl
    except ImportError as error:
        told = "locks of files need a POSIX system, such as Linux or macOS"
        raise OSError(errno.ENOTSUP, told) from error
    return fcntl
