"""Let one program at a time read, change and write an index: no change is lost to another one.

    with index_lock(path):                    shop.index    .shop.index.lock beside it
        index = GalleryIndex.load(path)       large-index/  .lock in it
        index.add(rows)
        index.save(path)

The operating system drops a file's lock the moment its holder dies, however it dies, so no lock is
ever stale. Readers take none: what they open is whole.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from cmpc_base.locks import LockOwner, lock
from cmpc_base.progress import OnNotice

__all__ = ["index_lock"]

NUM_NAME_CHARACTERS = 56  # of the index in the name of its lock: a name has 255 bytes at most


@contextmanager
def index_lock(path: str | os.PathLike[str], on_wait: OnNotice | None = None) -> Iterator[None]:
    """Hold the lock of an index, a file or a folder of shards, while the block runs.

    Every path to the index, through links too, is to the same lock. It is not taken again by who
    holds it: a block within a block for one index waits for ever.

    Args:
        path: The index; the file need not be there yet, its folder must.
        on_wait: Told which process holds the lock, when waiting for it takes seconds.

    Raises:
        OSError: the folder is not there or can't be written; the error names ``path``.
    """
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{target.name[:NUM_NAME_CHARACTERS]}.lock")
    lock_path = target / ".lock" if target.is_dir() else beside
    try:
        file = _locked(lock_path, f"changes {os.fspath(path)}", on_wait)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    try:
        yield
    finally:
        with suppress(OSError):  # a lock file that must stay is taken again by the next one
            lock_path.unlink()  # before it is let go: nobody else has it now
        file.close()


def _locked(lock_path: Path, doing: str, on_wait: OnNotice | None) -> BinaryIO:
    """Return the open file, locked, that has the name ``lock_path``."""
    while True:
        file = lock_path.open("ab")
        try:
            lock(file, LockOwner.OPEN_FILE, doing=doing, on_wait=on_wait)
            if _is_still(file, lock_path):
                return file
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
