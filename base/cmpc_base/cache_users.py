"""Which processes use a cache, and since when? Each holds the lock of a file of its own.

The file is written when a process begins to use the cache, so whatever the process used was marked
later than that. The system drops the lock with the process, however it ends.
"""

import atexit
import math
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from cmpc_base.files import temporary_beside
from cmpc_base.locks import open_locked

__all__ = ["join_users", "leave_users", "oldest_use"]

UNLOCKED_S = 86_400.0  # for how long an entry counts as in use where no file can be locked

_joined: dict[tuple[Path, int], tuple[Path, TextIO]] = {}  # the open file is the lock


def join_users(folder: Path, process: int) -> Path:
    """Make ``process``, which is this one, a user of the cache until it ends; return its file.

    Raises:
        OSError: the folder can't be written, or files on it can't be locked.
    """
    if (folder, process) in _joined:
        return _joined[folder, process][0]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{process}-{secrets.token_hex(4)}.lock"
    draft = temporary_beside(path)
    file = open_locked(draft)
    try:
        draft.rename(path)  # locked before anybody can take it for a dead process's
    except OSError:
        file.close()
        draft.unlink(missing_ok=True)
        raise
    _joined[folder, process] = path, file
    return path


@atexit.register
def leave_users() -> None:
    """Be a user of no cache any more, as when the process ends."""
    for (_, process), (path, file) in _joined.items():
        if process == os.getpid():  # and no fork of it
            with suppress(OSError):
                path.unlink(missing_ok=True)
            file.close()
    _joined.clear()


def oldest_use(folder: Path) -> float:
    """Return when the longest of the other processes that use the cache now began to.

    It is infinite where there is none. Files of processes that have ended are removed.
    """
    try:
        own = join_users(folder, os.getpid())
    except OSError:
        return time.time() - UNLOCKED_S
    others = [path for path in folder.glob("*.lock") if path != own]
    return min(map(_began_at, others), default=math.inf)


def _began_at(path: Path) -> float:
    """Return when the process of this file began; if it has ended, remove the file."""
    try:
        began_at = path.stat().st_mtime
        with open_locked(path):
            path.unlink(missing_ok=True)
        return math.inf
    except FileNotFoundError:  # it has just ended
        return math.inf
    except OSError:  # it runs, or is another user's, whose files we may not open
        return began_at
