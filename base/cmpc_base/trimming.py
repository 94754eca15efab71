"""How large is a cache, and what of it may go? The entries that were used longest ago.

    entries_of(cache)            what is there, each with its size and its last use
    trim(cache, to_bytes=...)    removes the oldest until no more than that is left

An entry goes by being renamed, so that nobody meets half of one; what a kill leaves under the other
name is swept. What a process uses that runs now (``cache_users``) stays, and so does what only a
download or hours of measuring would bring back, unless its kind is asked for by name.
"""

import errno
import math
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cmpc_base.cache import KINDS, Cache, Kind
from cmpc_base.cache_users import oldest_use
from cmpc_base.errors import UnknownName
from cmpc_base.files import temporary_beside
from cmpc_base.leftovers import sweep
from cmpc_base.progress import Progress

__all__ = ["Entry", "Trimmed", "entries_of", "trim"]

BLOCK_BYTES = 512  # in which POSIX counts what a file takes, whatever the disk's own blocks


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One file or folder of a cache.

    Attributes:
        num_bytes: What it takes on the disk; what an earlier entry links to as well counts there.
        used_at: Its last use, in seconds since the epoch.
    """

    kind: Kind
    path: Path
    num_bytes: int
    used_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Trimmed:
    """What a trimming did.

    Attributes:
        removed: The entries that are gone.
        num_bytes_left: What the cache takes now, all kinds together.
        in_use: Entries that would have gone, and are used by another process.
        swept: What killed processes had left, and is gone.
    """

    removed: tuple[Entry, ...]
    num_bytes_left: int
    in_use: tuple[Entry, ...] = ()
    swept: tuple[Path, ...] = ()


def entries_of(cache: Cache) -> list[Entry]:
    """Return all entries; one that vanishes meanwhile is none."""
    scan = _Scan()
    return [
        entry
        for kind in KINDS
        for path in sorted(_listed(cache.folder(kind)))
        if (entry := scan.entry(kind, path)) is not None
    ]


def trim(
    cache: Cache,
    *,
    to_bytes: int,
    kinds: Collection[str] = (),
    progress: Progress | None = None,
) -> Trimmed:
    """Remove the entries used longest ago until the cache takes at most ``to_bytes``.

    Args:
        kinds: Names of the kinds that may lose entries; by default all that are made again.
        progress: Told how many bytes are gone, of how many that must go.

    Raises:
        UnknownName: there is no such kind.
        OSError: the system refuses to remove an entry, or anything of this cache.
    """
    if unknown := sorted({*kinds} - {kind.name for kind in KINDS}):
        raise UnknownName.among([kind.name for kind in KINDS], "kind of entry", unknown[0])
    swept = sweep(cache.path, cache.users, *(cache.folder(kind) for kind in KINDS))
    entries = entries_of(cache)
    used_since = oldest_use(cache.users)
    num_bytes = sum(entry.num_bytes for entry in entries)
    excess, num_gone = max(0, num_bytes - to_bytes), 0
    if excess and not os.access(cache.path, os.W_OK):
        # Who uses it can't be told there either, so that all would pass for used.
        raise PermissionError(errno.EACCES, "nothing may be removed there", str(cache.path))
    removed, in_use = [], []
    for entry in _oldest_first(entries, kinds):
        if num_gone >= excess:
            break
        if _is_in_use(entry, used_since) or not _remove(entry):
            in_use.append(entry)
            continue
        removed.append(entry)
        num_gone += entry.num_bytes
        if progress is not None:
            progress(min(num_gone, excess), excess)
    return Trimmed(
        removed=tuple(removed),
        in_use=tuple(in_use),
        swept=tuple(swept),
        num_bytes_left=sum(entry.num_bytes for entry in entries_of(cache))
        if removed
        else num_bytes,
    )


def _oldest_first(entries: Collection[Entry], kinds: Collection[str]) -> list[Entry]:
    """Return the entries that may go."""
    allowed = set(kinds) or {kind.name for kind in KINDS if kind.is_made_again}
    return sorted(
        (entry for entry in entries if entry.kind.name in allowed), key=lambda entry: entry.used_at
    )


def _is_in_use(entry: Entry, used_since: float) -> bool:
    """Whether another process may need an entry.

    Of those that are not made again nobody marks the use: they stay while anybody is here.
    """
    return entry.used_at >= used_since if entry.kind.is_made_again else used_since < math.inf


def _remove(entry: Entry) -> bool:
    """Remove an entry, unless it is used at this very moment: then it is put back."""
    aside = temporary_beside(entry.path)
    try:
        if entry.path.stat().st_mtime > entry.used_at:
            return False
        entry.path.rename(aside)
        if aside.stat().st_mtime > entry.used_at:
            with suppress(OSError):  # its user has made another meanwhile
                aside.rename(entry.path)
                return False
    except FileNotFoundError:
        return True  # another process removed it
    if aside.is_dir():
        shutil.rmtree(aside)
    else:
        aside.unlink()
    return True


def _listed(folder: Path) -> Iterator[Path]:
    """Yield what is in a folder, but for what is just being written there."""
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if not path.name.startswith("."))


@dataclass(slots=True)
class _Scan:
    """One walk over a cache, which counts what has several names once."""

    seen: set[tuple[int, int]] = field(default_factory=set)

    def entry(self, kind: Kind, path: Path) -> Entry | None:
        try:
            used_at = path.stat(follow_symlinks=False).st_mtime
            num_bytes = sum(map(self._bytes_of, _files_in(path)))
        except FileNotFoundError:
            return None
        return Entry(kind=kind, path=path, num_bytes=num_bytes, used_at=used_at)

    def _bytes_of(self, path: Path) -> int:
        """Return what a file takes: a sparse one less than its length."""
        try:
            found = path.stat(follow_symlinks=False)
        except FileNotFoundError:  # it has just been replaced by another
            return 0
        name = (found.st_dev, found.st_ino)
        if name in self.seen:
            return 0
        self.seen.add(name)
        return found.st_blocks * BLOCK_BYTES


def _files_in(path: Path) -> Iterator[Path]:
    """Yield an entry's files and links; a link's own target is no part of it."""
    if stat.S_ISDIR(path.stat(follow_symlinks=False).st_mode):
        for folder, _, names in os.walk(path):
            yield from (Path(folder, name) for name in names)
    else:
        yield path
