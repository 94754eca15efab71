"""Open an index that is asked again and again: all of it is read to be verified, but only once.

A file is taken for the one that was verified while path, inode, time of change, length and header
are the same. Who doubts the disk itself has `cmpc index info --verify`, which always reads.
"""

import os
from contextlib import suppress
from pathlib import Path

from cmpc_base.cache import Cache
from cmpc_base.errors import BadFile
from cmpc_base.hashing import document_hash
from cmpc_base.json_files import read_json, write_json
from cmpc_kernels import GalleryIndex, ShardedIndex, StoredAs, open_index

__all__ = ["open_verified"]


def open_verified(path: Path, cache: Cache) -> GalleryIndex | ShardedIndex:
    """Open an index; what of it was verified before is not read.

    Raises:
        BadIndexFile: a file is altered, or no index.
    """
    entry = cache.verified / f"{document_hash(os.path.realpath(path))}.json"
    known = _states_in(entry)
    opened = open_index(path, verify=lambda file: _state_of(file) not in known)
    found = {_state_of(file) for file in opened.stored_files}
    if found != known:
        with suppress(OSError):  # a cache that may only be read remembers nothing
            write_json(entry, {"files": sorted(found)})
    cache.mark_used(entry)
    return opened


def _states_in(entry: Path) -> set[str]:
    try:
        return set(read_json(entry)["files"])
    except (BadFile, KeyError, TypeError):
        return set()


def _state_of(file: StoredAs) -> str:
    """Return a short name for a file in the state that it is in."""
    state = [str(file.path), file.inode, file.mtime_ns, file.num_bytes, file.header_sha256]
    return document_hash(state)
