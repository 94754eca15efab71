"""Write the file of a gallery index, see ``index_file``, and clear away what the killed left."""

import functools
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from cmpc_base.files import made_for, replacing
from cmpc_kernels.gallery.columns import Array
from cmpc_kernels.gallery.index_file import (
    DTYPES,
    MAGIC,
    PREFIX,
    VERSION,
    StoredAs,
    aligned,
    bytes_of,
)

__all__ = ["clearing", "write_index_file"]

PIECE_BYTES = 1 << 22  # hashed and written while it is in the cache
NO_DIGEST = "0" * 64


def write_index_file(
    path: Path, facts: Mapping[str, Any], sections: Mapping[str, Array], opened: StoredAs | None
) -> StoredAs:
    """Write the file, whole or not at all.

    Args:
        opened: What the file must hold still to be replaced; by default anything.

    Raises:
        IndexChanged: it holds something else, and stays as it is.
    """
    contiguous = {name: np.ascontiguousarray(array) for name, array in sections.items()}
    entries = lay_out(contiguous)
    with replacing(path, check=None if opened is None else opened.check_unchanged) as file:
        # Digests are of one length, so a header with blank ones already has the right size.
        start = aligned(PREFIX.size + len(header_of(facts, entries)))
        for entry, array in zip(entries, contiguous.values(), strict=True):
            file.seek(start + entry["offset"])  # a gap that is skipped reads as zeros
            entry["sha256"] = write_section(file, array)
        file.truncate(max(start, file.tell()))
        header = header_of(facts, entries)
        checksum = hashlib.sha256(header).digest()
        file.seek(0)
        file.write(PREFIX.pack(MAGIC, VERSION, len(header), checksum) + header)
        file.flush()
        return StoredAs.of(path, file, header)


@contextmanager
def clearing(path: Path) -> Iterator[None]:
    """Remove the temporary files that are beside ``path`` once the block has replaced it.

    Killed writers left them. One that is at work, on a machine that sees no lock of ours, has begun
    with what is replaced now, and will be refused. Names beyond 48 characters can't be told apart.
    """
    target = Path(os.path.realpath(path))
    left_over: list[Path] = []
    with suppress(PermissionError):  # a folder may be one to write to and not to look into
        left_over += [one for one in target.parent.iterdir() if made_for(one.name) == target.name]
    yield
    for one in left_over:
        with suppress(OSError):
            one.unlink()


def lay_out(sections: Mapping[str, Array]) -> list[dict[str, Any]]:
    """Give each section its place, one behind the other."""
    entries, offset = [], 0
    for name, array in sections.items():
        assert array.dtype.str in DTYPES, f"section {name} has the dtype {array.dtype}"
        shape = list(array.shape)
        entry = {"name": name, "dtype": array.dtype.str, "shape": shape, "offset": offset}
        entries.append(entry | {"sha256": NO_DIGEST})
        offset = aligned(offset + array.nbytes)
    return entries


def header_of(facts: Mapping[str, Any], entries: list[dict[str, Any]]) -> bytes:
    header = {"facts": facts, "sections": entries, "written_by": writer()}
    return json.dumps(header, allow_nan=False).encode()


@functools.cache
def writer() -> str:
    """Say which version of which program this is."""
    try:
        return f"cmpc {version('cmpc')}"
    except PackageNotFoundError:  # run from a folder of sources
        return "cmpc"


def write_section(file: BinaryIO, array: Array) -> str:
    """Write an array, a piece at a time; return its SHA-256."""
    digest, content = hashlib.sha256(), bytes_of(array)
    for start in range(0, len(content), PIECE_BYTES):
        piece = content[start : start + PIECE_BYTES]
        digest.update(piece)
        file.write(piece)
    return digest.hexdigest()
