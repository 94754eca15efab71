"""Write a file so that nobody ever reads half of it, and that outlives a power failure.

    .NAME.PROCESS-RANDOM.tmp --fsync, rename--> NAME --fsync of the folder--> kept

Every file that takes the place of another, or must not, is written through here.
"""

import errno
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

__all__ = [
    "bring_to_disk",
    "creating",
    "is_file",
    "made_for",
    "make_folder",
    "replacing",
    "temporary_beside",
    "write_text",
]

NUM_NAME_CHARACTERS = 48  # of the file's own in its temporary name: a name has 255 bytes at most
TEMPORARY = re.compile(r"\.(.+)\.\d{1,10}-[0-9a-f]{8}\.tmp", re.DOTALL)
NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}  # such as FAT says


def replacing(
    path: Path, *, check: Callable[[], object] | None = None
) -> AbstractContextManager[BinaryIO]:
    """Open a file that takes the place of ``path`` when the body ends, and vanishes if it fails.

    A link is followed: what it points to is replaced. An existing file keeps its permissions, a new
    one gets those that the umask leaves; missing folders are made. A library that can only write by
    name may be given ``file.name``.

    Args:
        check: Called when all is on the disk, just before the old file goes; it stays if this
            raises.

    Raises:
        OSError: ``path`` is there and no regular file, or the file system refuses. The error names
            ``path`` and not the temporary file.
    """

    def put(temporary: Path, target: Path) -> None:
        if check is not None:
            check()
        temporary.replace(target)

    return _writing(path, put)


def creating(path: Path) -> AbstractContextManager[BinaryIO]:
    """Open a file that gets the name ``path`` when the body ends, whole, if nobody has it then.

    Of several processes that create one file, on several machines too, one succeeds. Only where the
    file system has no hard links, two within microseconds may both do.

    Raises:
        FileExistsError: somebody has it; theirs stays.
        OSError: as `replacing`.
    """
    return _writing(path, _put_if_free)


def _put_if_free(temporary: Path, target: Path) -> None:
    """Rename a file, unlike ``rename`` only if nothing has that name."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        # A file server whose answer got lost was asked again: the name is of our own file.
        if not os.path.samestat(temporary.stat(), target.stat()):
            raise
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        temporary.rename(target)


@contextmanager
def _writing(path: Path, put: Callable[[Path, Path], object]) -> Iterator[BinaryIO]:
    """Open a temporary file; ``put`` gives it the name of the target once it is on the disk."""
    target = Path(os.path.realpath(path))
    make_folder(target.parent)
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
        put(temporary, target)
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


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, so that they outlive a power failure."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def made_for(name: str) -> str | None:
    """Return which name, or 48 characters of it, a temporary file was to get; None for others."""
    match = TEMPORARY.fullmatch(name)
    return None if match is None else match[1]


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
