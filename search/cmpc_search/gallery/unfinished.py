"""A folder while a gallery is made in it: nobody else's files, one maker, and no end by accident.

Making takes minutes or hours, and may be killed. A marker is put into the empty folder first and
taken out last. So whatever lies beside a marker was written by an earlier try and may be replaced;
whatever lies in a folder without one belongs to somebody.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cmpc_base.folders import check_new_or_empty
from cmpc_base.locks import exclusive
from cmpc_base.progress import OnNotice
from cmpc_search.errors import BadArgument

__all__ = ["RECORD_FILE", "check_free", "is_unfinished", "making"]

RECORD_FILE = "gallery.json"
MARKER = ".unfinished"


@contextmanager
def making(folder: Path, *, on_wait: OnNotice | None = None) -> Iterator[None]:
    """Hold ``folder`` while the block makes a gallery in it; another process waits for its turn.

    Whoever waited may find the work done. ``on_wait`` is told which process makes it.

    Raises:
        BadArgument: the folder holds something else.
    """
    check_free(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / MARKER, doing=f"makes {folder}", on_wait=on_wait):
        yield
        (folder / MARKER).unlink(missing_ok=True)


def check_free(folder: Path) -> None:
    """Refuse a folder that holds a gallery, or other things than an unfinished one.

    Raises:
        BadArgument: it does.
    """
    if (folder / RECORD_FILE).exists():
        raise BadArgument(f"{folder} must not be a gallery yet; choose another folder")
    if not is_unfinished(folder):
        check_new_or_empty(folder, what="a gallery", error=BadArgument)


def is_unfinished(folder: Path) -> bool:
    """Whether the making of a gallery in ``folder`` began and didn't end."""
    return (folder / MARKER).exists()
