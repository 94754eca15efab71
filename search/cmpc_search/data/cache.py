"""Keep prepared data in folders that are either whole and proven, or not there.

    NAME.unfinished/ --record, rename--> NAME/

One process at a time works on a folder under the other name; a killed one leaves its files there
and the next goes on with them. The record names the sha256 of every other file; reading checks
them, since a flipped bit in a training image would never show otherwise.

To hash gigabytes at each start would take longer than many commands. So a stamp keeps the size, the
time of change and the inode of each file whose hash was right, and while a file has these the hash
is trusted: every program that writes to a file, or puts another in its place, changes one of them.
What is not noticed is a disk that gives other bytes than were written, and says nothing; remove the
stamp, and the files are hashed again.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cmpc_base.cache import Cache
from cmpc_base.hashing import document_hash, file_hash
from cmpc_base.json_files import read_json, write_json
from cmpc_base.locks import LockOwner, exclusive_if_possible
from cmpc_base.progress import OnNotice
from cmpc_search.errors import BadData

__all__ = [
    "RECORD_NAME",
    "prepared_sizes",
    "read_record",
    "unfinished_folder",
    "write_record",
]

RECORD_NAME = "image_set.json"
STAMP_NAME = "verified.json"
LOCK_NAME = "lock"
UNREADABLE = (OSError, AttributeError, KeyError, TypeError)
"""What a damaged record makes of itself while it is read."""


@contextmanager
def unfinished_folder(final: Path, *, on_wait: OnNotice | None = None) -> Iterator[Path | None]:
    """Yield the folder that becomes ``final`` at the end; None if another process has made that.

    What is in it was left by one that was ended, and stays if this one fails.

    Args:
        on_wait: Told for whom one waits, when another process works on it for seconds.
    """
    folder = final.with_name(f"{final.name}.unfinished")
    folder.mkdir(parents=True, exist_ok=True)
    doing = f"prepares {final.name}"
    with exclusive_if_possible(
        folder / LOCK_NAME, LockOwner.OPEN_FILE, doing=doing, on_wait=on_wait
    ):
        if (final / RECORD_NAME).exists():
            yield None
            return
        yield folder
        (folder / LOCK_NAME).unlink()
        folder.rename(final)


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write the record last: it seals the files that are in the folder by now."""
    files = sorted(path for path in folder.iterdir() if path.name not in (LOCK_NAME, STAMP_NAME))
    seals = {path.name: file_hash(path) for path in files}
    sealed = {**record, "sha256": seals}
    sealed["record_sha256"] = document_hash(sealed)
    write_json(folder / STAMP_NAME, _stamps(folder, seals))
    write_json(folder / RECORD_NAME, sealed)


def read_record(folder: Path) -> dict[str, Any]:
    """Return the record of a folder whose files all are what they were, else raise BadData."""
    try:
        record = read_json(folder / RECORD_NAME, error=BadData)
        if record.pop("record_sha256") != document_hash(record):
            raise BadData(f"{folder / RECORD_NAME} is not what was written: its sha256 differs")
        _check_files(folder, record["sha256"])
    except UNREADABLE as error:
        raise BadData(f"{folder} can't be read: {type(error).__name__} {error}") from error
    return record


def _check_files(folder: Path, seals: dict[str, str]) -> None:
    """Hash the files that changed since their hashes were right, and stamp them if they still are.

    Raises:
        BadData: one differs.
    """
    stamps, proven = _stamps(folder, seals), _read_stamps(folder)
    for name, seal in seals.items():
        if proven.get(name) != stamps[name] and file_hash(folder / name) != seal:
            raise BadData(f"{folder / name} is not what was written: its sha256 differs")
    if proven != stamps:
        with suppress(OSError):  # a cache that may only be read is hashed each time
            write_json(folder / STAMP_NAME, stamps)


def _stamps(folder: Path, seals: dict[str, str]) -> dict[str, list[object]]:
    """Return what tells of each file that nobody has written to it, with the hash it has."""
    facts = {name: (folder / name).stat() for name in seals}
    return {
        name: [fact.st_size, fact.st_mtime_ns, fact.st_ino, seals[name]]
        for name, fact in facts.items()
    }


def _read_stamps(folder: Path) -> dict[str, Any]:
    """Return what was proven; nothing if nobody wrote it, or not as it must be."""
    try:
        return read_json(folder / STAMP_NAME, error=BadData)
    except BadData:
        return {}


def prepared_sizes(name: str, cache_dir: Path) -> list[int]:
    """Return the sizes at which the cache holds a data set, in pixels, ascending."""
    folders = Cache(cache_dir).data.glob(f"{name}-*px-*/{RECORD_NAME}")
    found = (re.fullmatch(rf"{re.escape(name)}-(\d+)px-\w+", path.parent.name) for path in folders)
    return sorted({int(match[1]) for match in found if match})
