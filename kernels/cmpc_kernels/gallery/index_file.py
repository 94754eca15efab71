"""The file of a gallery index: what each byte means, how it is written, when it is refused.

    offset      bytes       content (integers are little-endian)
    0           8           magic, b"cmpcgidx"
    8           4           version, uint32, now 2
    12          8           H, the header's length, uint64
    20          32          SHA-256 of the header
    52          H           header, a JSON object in UTF-8:
                              "facts": what the index is, an object (see index_layout.py)
                              "sections": a list of {name, dtype, shape, offset, sha256}
    52 + H      0 to 63     zeros, up to the next multiple of 64, called S
    S + offset  any         a section: an array row by row, of the NumPy ``dtype`` (such as "<f4")
    between     0 to 63     zeros, up to the next section's offset, a multiple of 64
                            the file ends with the last section

No byte is free: each is a constant, fixed by another one, or under a checksum, so any change is
noticed. Sections begin on a cache line, hence are aligned when the file is mapped. Nothing is
executed on reading: JSON and plain numbers only. A writer fills a temporary file beside the target
and renames it, so a reader sees the old index or the new one. An index that is open keeps the file
it was opened from, even when another takes its name.
"""

import hashlib
import json
import mmap
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from cmpc_base.files import replacing
from cmpc_kernels.errors import BadIndexFile
from cmpc_kernels.gallery.columns import Array

__all__ = ["altered", "header_sha256", "read_index_file", "write_index_file"]

MAGIC = b"cmpcgidx"
VERSION = 2
PREFIX = struct.Struct("<8sIQ32s")
ALIGNMENT_BYTES = 64
PIECE_BYTES = 1 << 22  # hashed and written while it is in the cache
DTYPES = frozenset(["|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"])
NO_DIGEST = "0" * 64


def write_index_file(path: Path, facts: Mapping[str, Any], sections: Mapping[str, Array]) -> str:
    """Write the file atomically; return its header's SHA-256 in hexadecimal digits."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in sections.items()}
    entries = lay_out(contiguous)
    with replacing(path) as file:
        # Digests are of one length, so a header with blank ones already has the right size.
        start = aligned(PREFIX.size + len(header_of(facts, entries)))
        for entry, array in zip(entries, contiguous.values(), strict=True):
            file.seek(start + entry["offset"])  # a gap that is skipped reads as zeros
            entry["sha256"] = write_section(file, array)
        file.truncate(max(start, file.tell()))
        header = header_of(facts, entries)
        checksum = hashlib.sha256(header)
        file.seek(0)
        file.write(PREFIX.pack(MAGIC, VERSION, len(header), checksum.digest()) + header)
    return checksum.hexdigest()


def read_index_file(path: Path, *, verify: bool) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the facts and the sections as read-only arrays that stay on disk until they are read.

    The header, the layout and the file's length are always checked; the sections' checksums only
    if ``verify``, since that reads the whole file.

    Raises:
        BadIndexFile: the file is no index, of another version, cut off or altered.
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < PREFIX.size:
            raise no_index(path, file.read(len(MAGIC)))
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    header_json = checked_header(path, content)
    facts, entries = parse_header(path, header_json)
    end = PREFIX.size + len(header_json)
    start = aligned(end)
    sections = {}
    for entry in entries:
        at = start + entry["offset"]
        if at < end or any(content[end:at]):
            raise altered(path, f"there are bytes before its section {entry['name']!r}")
        array = map_section(content, at, entry)
        if verify and sha256_of(array) != entry["sha256"]:
            raise altered(path, f"its section {entry['name']!r} does not match its checksum")
        sections[entry["name"]] = array
        end = at + array.nbytes
    return facts, sections


def header_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's header as the file states it: a short name for its content."""
    with path.open("rb") as file:
        prefix = file.read(PREFIX.size)
    if len(prefix) < PREFIX.size or not prefix.startswith(MAGIC):
        raise no_index(path, prefix[: len(MAGIC)])
    checksum: bytes = PREFIX.unpack(prefix)[3]
    return checksum.hex()


def altered(path: Path, reason: str) -> BadIndexFile:
    """Say that a file is not what was written, and what to do."""
    return BadIndexFile(
        f"an index file must be read as it was written, got {path}: {reason}; "
        f"copy it again or rebuild the index"
    )


def no_index(path: Path, start: bytes) -> BadIndexFile:
    return BadIndexFile(
        f"an index file must begin with {MAGIC.decode()!r}, got {start!r} in {path}; "
        f"give a file written by GalleryIndex.save"
    )


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
    return json.dumps({"facts": facts, "sections": entries}, allow_nan=False).encode()


def write_section(file: BinaryIO, array: Array) -> str:
    """Write an array, a piece at a time; return its SHA-256."""
    digest, content = hashlib.sha256(), bytes_of(array)
    for start in range(0, len(content), PIECE_BYTES):
        piece = content[start : start + PIECE_BYTES]
        digest.update(piece)
        file.write(piece)
    return digest.hexdigest()


def checked_header(path: Path, content: mmap.mmap) -> bytes:
    """Return the header's JSON if prefix and checksum allow it."""
    magic, version, length, checksum = PREFIX.unpack(content[: PREFIX.size])
    if magic != MAGIC:
        raise no_index(path, magic)
    if version != VERSION:
        raise BadIndexFile(
            f"this release reads index files of version {VERSION}, got version {version} in "
            f"{path}; build the index again"
        )
    if length > len(content) - PREFIX.size:
        raise altered(path, "it is shorter than its header")
    header_json = content[PREFIX.size : PREFIX.size + length]
    if hashlib.sha256(header_json).digest() != checksum:
        raise altered(path, "its header does not match its checksum")
    return header_json


def parse_header(path: Path, header_json: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return facts and section entries; what another writer got wrong is refused too."""
    try:
        header = json.loads(header_json)
        facts, entries = header["facts"], header["sections"]
        if not isinstance(facts, dict) or not all(is_sound(entry) for entry in entries):
            raise ValueError("facts or sections are not as documented")
        offset = 0
        for entry in entries:
            if entry["offset"] != offset:
                raise ValueError(f"section {entry['name']!r} is not where it must be")
            offset = aligned(offset + size_bytes(entry))
        if len({entry["name"] for entry in entries}) < len(entries):
            raise ValueError("two sections have one name")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise altered(path, f"its header cannot be read ({error!r})") from error
    start = aligned(PREFIX.size + len(header_json))
    expected = start + (entries[-1]["offset"] + size_bytes(entries[-1]) if entries else 0)
    if (actual := path.stat().st_size) != expected:
        raise altered(path, f"it must have {expected} bytes and has {actual}")
    return facts, entries


def is_sound(entry: dict[str, Any]) -> bool:
    """Say whether a section's entry holds what this reader can map."""
    return (
        entry.keys() == {"name", "dtype", "shape", "offset", "sha256"}
        and isinstance(entry["name"], str)
        and entry["dtype"] in DTYPES
        and isinstance(entry["shape"], list)
        and 1 <= len(entry["shape"]) <= 4
        and all(type(length) is int and length >= 0 for length in entry["shape"])
        and type(entry["offset"]) is int
    )


def map_section(content: mmap.mmap, at: int, entry: dict[str, Any]) -> Array:
    shape, dtype = tuple(entry["shape"]), np.dtype(entry["dtype"])
    if 0 in shape:
        return np.empty(shape, dtype)
    count = size_bytes(entry) // dtype.itemsize
    return np.frombuffer(content, dtype, count, at).reshape(shape)


def size_bytes(entry: dict[str, Any]) -> int:
    size: int = np.dtype(entry["dtype"]).itemsize
    for length in entry["shape"]:
        size *= length
    return size


def aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def bytes_of(array: Array) -> memoryview:
    return array.reshape(-1).view(np.uint8).data  # a view, of a mapped file too


def sha256_of(array: Array) -> str:
    return hashlib.sha256(bytes_of(array)).hexdigest()
