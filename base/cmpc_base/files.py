"""Write a file so that nobody ever reads half of it, and that outlives a power failure.

    .NAME.PROCESS-RANDOM.tmp --fsync, rename--> NAME --fsync of the folder--> kept

Every file that takes the place of another is written through here.
"""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

__all__ = ["bring_to_disk", "is_file", "replacing", "temporary_beside", "write_text"]

NUM_NAME_CHARACTERS = 48  # of the file's own in its temporary name: a name has 255 bytes at most


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of ``path`` when the body ends, and vanishes if it fails.

    A link is followed: what it points to is replaced. An existing file keeps its permissions, a new
    one gets those that the umask leaves; missing folders are made. A library that can only write by
    name may be given ``file.name``.

    Raises:
        OSError: ``path`` is there and no regular file, or the file system refuses. The error names
            ``path`` and not the temporary file.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    kept_mode = _mode_of(target)
    first_mode = 0o666 if kept_mode is None else 0o600  # never more open than the file it replaces
    temporary = temporary_beside(target)

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, first_mode)

    try:
        with open(temporary, "xb", opener=opener) as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode) if kept_mode is None else kept_mode
            yield file
        with open(temporary, "r+b") as written:  # another file, if a library replaced it
            bring_to_disk(written)
        if _mode_of(temporary) != mode:  # some file systems refuse even what changes nothing
            temporary.chmod(mode)
        temporary.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        if error.errno is None or error.filename not in (None, os.fspath(temporary)):
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def bring_to_disk(file: IO[Any]) -> None:
    """Return once what was written into an open file outlives a power failure."""
    file.flush()
    os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """Write ``text`` in UTF-8, whole or not at all.

    A path may hold bytes that are no text. They are written as ``\\udce9``, which is what JSON
    calls such a thing too: a path that comes back from JSON opens the file.

    Raises:
        OSError: as `replacing`.
    """
    with replacing(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def temporary_beside(path: Path) -> Path:
    """Return a free name beside ``path`` that says which process took it, see `leftovers`."""
    start = path.name[:NUM_NAME_CHARACTERS]
    return path.with_name(f".{start}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def is_file(path: Path) -> bool:
    """Whether a path is that of a file; one too long to be any is not, such as a description.

    Raises:
        OSError: nobody may look there.
    """
    try:
        return path.is_file()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return False
        raise


def _mode_of(target: Path) -> int | None:
    """Return the permissions of a file, None where there is none yet; refuse all but files.

    Renaming something over a device such as /dev/null would break it for every program.
    """
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "a file can't be written over a folder", str(target))
    if not stat.S_ISREG(mode):
        raise FileExistsError(errno.EEXIST, "only a regular file can be replaced", str(target))
    return stat.S_IMODE(mode)


def _sync_folder(folder: Path) -> None:
    """Make a rename last. Some file systems can't do this, and the file is whole without it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
