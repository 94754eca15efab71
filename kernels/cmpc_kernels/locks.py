"""Let one program at a time read, change and write an index: no change is lost to another one.

    with index_lock(path):                    shop.index    .shop.index.lock beside it
        index = GalleryIndex.load(path)       large-index/  .lock in it
        index.add(rows)
        index.save(path)

The operating system drops a file's lock the moment its holder dies, however it dies, so no lock is
ever stale. Readers take none: what they open is whole. Nor does anything rest on the lock alone,
which reaches no further than one machine on some file systems: who writes over a change that it has
not seen is refused with `IndexChanged`. Whoever holds the lock is spared that.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO

from cmpc_base.locks import LockOwner, lock
from cmpc_base.progress import OnNotice

__all__ = ["FOLDER_LOCK", "index_lock"]

FOLDER_LOCK = ".lock"  # stays where its holder was killed
NUM_NAME_CHARACTERS = 56  # of the index in the name of its lock: a name has 255 bytes at most
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}

_held: ContextVar[frozenset[Path]] = ContextVar("locks held by this thread", default=frozenset())


@contextmanager
def index_lock(
    path: str | os.PathLike[str], on_wait: OnNotice | None = None, *, if_possible: bool = False
) -> Iterator[None]:
    """Hold the lock of an index, a file or a folder of shards, while the block runs.

    Every path to the index, through links too, is to the same lock. The thread that holds it may
    take it again; what it waits for in other threads must not save the index.

    Args:
        path: The index; the file need not be there yet, its folder must.
        on_wait: Told which process holds the lock, when waiting for it takes seconds.
        if_possible: Run the block all the same where the file system has no locks.

    Raises:
        OSError: the folder is not there or can't be written, or it has no locks; the error names
            ``path``.
    """
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{target.name[:NUM_NAME_CHARACTERS]}.lock")
    lock_path = target / FOLDER_LOCK if target.is_dir() else beside
    if lock_path in _held.get():
        yield
        return
    try:
        file = _opened(lock_path, f"changes {os.fspath(path)}", on_wait, if_possible)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    with file:
        _held.set(_held.get() | {lock_path})
        try:
            yield
        finally:
            _held.set(_held.get() - {lock_path})
            with suppress(OSError):  # a lock file that must stay is taken again by the next one
                lock_path.unlink()  # before it is let go: nobody else has it now


def _opened(lock_path: Path, doing: str, on_wait: OnNotice | None, if_possible: bool) -> BinaryIO:
    """Return the open file, locked, that has the name ``lock_path``."""
    while True:
        file = lock_path.open("ab")
        try:
            lock(file, LockOwner.OPEN_FILE, doing=doing, on_wait=on_wait)
            if _is_still(file, lock_path):
                return file
        except OSError as error:
            if if_possible and error.errno in NO_LOCKS:
                return file
            file.close()
            raise
        except BaseException:
            file.close()
            raise
        file.close()  # whoever had it has taken it away: the name is of another file now
        on_wait = None


def _is_still(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
