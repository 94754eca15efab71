"""Folders: is one free to be written, where would it be made, and how is it made whole?

.NAME.PROCESS-RANDOM.tmp/ --rename--> NAME/     what a kill leaves is swept by `leftovers`
"""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cmpc_base.errors import BadArgument, CmpcError
from cmpc_base.files import temporary_beside
from cmpc_base.names import few

__all__ = [
    "check_new_or_empty",
    "folder_draft",
    "nearest_existing",
    "remove_folder",
    "scratch_folder",
]

OCCUPIED = {errno.EEXIST, errno.ENOTEMPTY}  # what renaming says of a folder that holds something
RENAME_TRIES = 10  # each of them meets another process that has just put its own folder there


def check_new_or_empty(folder: Path, *, what: str, error: type[CmpcError] = BadArgument) -> None:
    """Refuse a folder that holds anything: what is written must not mix with what was there.

    Files whose names begin with a dot do not count.

    Args:
        what: How the user names the folder, for the message.
        error: What is raised, of the caller's own tree where it has one for this.

    Raises:
        CmpcError: ``error``, if the folder holds something or is a file.
    """
    if not folder.is_dir():
        if folder.exists():
            raise error(f"{what} must be a new or empty folder, {folder} is a file")
        return
    found = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if found:
        raise error(
            f"{what} must be a new or empty folder, {folder} holds {few(found)}; name another one"
        )


def nearest_existing(path: Path) -> Path:
    """Return ``path`` if it exists, else the nearest folder above it that does."""
    absolute = Path(os.path.abspath(path))
    return next(one for one in (absolute, *absolute.parents) if one.exists())


def _is_never_whole(_: Path) -> bool:
    return False


@contextmanager
def folder_draft(
    final: Path, *, is_whole: Callable[[Path], bool] = _is_never_whole, replace: bool = False
) -> Iterator[Path]:
    """Yield an empty folder that becomes ``final`` when the body ends, and vanishes if it fails.

    It has the permissions that the umask leaves; the folders above are made.

    Args:
        is_whole: Whether what another process has put there meanwhile is as good. Then that stays.
        replace: Whether something else that is there is removed.

    Raises:
        OSError: ``final`` is there, not whole and not to be replaced, or the file system refuses.
    """
    with scratch_folder(final) as draft:
        yield draft
        _rename(draft, final, is_whole, replace)


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """Yield an empty folder beside a path, and on its file system, that is gone afterwards."""
    beside.parent.mkdir(parents=True, exist_ok=True)
    scratch = temporary_beside(beside)
    scratch.mkdir()  # not mkdtemp: its folder is closed to other users of a shared cache
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _rename(draft: Path, final: Path, is_whole: Callable[[Path], bool], replace: bool) -> None:
    for _ in range(RENAME_TRIES):
        try:
            draft.rename(final)
            return
        except OSError as error:
            if error.errno not in OCCUPIED:
                raise
            if is_whole(final):
                return
            if not replace:
                raise
        remove_folder(final)
    raise FileExistsError(errno.EEXIST, "others keep putting their own there", str(final))


def remove_folder(folder: Path) -> None:
    """Move a folder out of the way at once, then delete it: nobody meets it half deleted."""
    aside = temporary_beside(folder)
    try:
        folder.rename(aside)
    except FileNotFoundError:
        return  # another process removed it
    shutil.rmtree(aside, ignore_errors=True)
