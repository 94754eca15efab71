"""Open an index that is asked again and again: all of it is read to be verified, but only once.

A file is taken for the one that was verified while path, inode, time of change, length and header
are the same. Who doubts the disk itself opens with ``open_index``, which reads all each time; and
so does whatever writes items anew.
"""

import os
from contextlib import suppress
from pathlib import Path

from cmpc_base.cache import Cache, users_cache
from cmpc_base.errors import BadFile
from cmpc_base.hashing import document_hash
from cmpc_base.json_files import read_json, write_json
from cmpc_kernels.gallery.index import GalleryIndex
from cmpc_kernels.gallery.index_file import StoredAs
from cmpc_kernels.gallery.shards import ShardedIndex, open_index

__all__ = ["open_verified"]


def open_verified(
    path: str | os.PathLike[str], cache: Cache | None = None
) -> GalleryIndex | ShardedIndex:
    """Open an index file or a folder of shards; what of it was verified before is not read.

    Args:
        cache: Where that is remembered, by default the cache of `cmpc`: the folder that CMPC_CACHE
            names, or ~/.cache/cmpc. Where nothing can be written all is read each time.

    Raises:
        BadIndexFile: a file is altered, or no index.
        IndexChanged: others change a folder faster than it can be opened.
    """
    try:
        cache = cache or users_cache()
    except RuntimeError:  # a user without a home folder
        return open_index(path)
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
