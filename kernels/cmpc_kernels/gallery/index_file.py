"""The file of a gallery index: how it is opened, and when it is refused.

    prefix | header, JSON: facts, sections, written_by | section | section | ...

``docs/index-format.md`` says what each byte means, for readers in other languages too. No byte is
free: each is a constant, fixed by another one, or under a checksum, so any change is noticed.
Sections begin on a cache line, hence are aligned when the file is mapped. Nothing is executed on
reading: JSON and plain numbers only. A writer fills a temporary file beside the target and renames
it, so a reader sees the old index or the new one. An index that is open keeps the file it was
opened from, even when another takes its name; it may itself take the name again only as long as
none has.
"""

import hashlib
import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np

from cmpc_kernels.errors import BadIndexFile, IndexChanged
from cmpc_kernels.gallery.columns import Array
from cmpc_kernels.gallery.mapping import mapped

__all__ = [
    "DTYPES",
    "MAGIC",
    "PREFIX",
    "VERSION",
    "IndexFile",
    "StoredAs",
    "Verify",
    "aligned",
    "altered",
    "bytes_of",
    "size_bytes",
]

MAGIC = b"cmpcgidx"
VERSION = 2
CHECKSUM_BYTES = 32
PREFIX = struct.Struct(f"<8sIQ{CHECKSUM_BYTES}s")
ALIGNMENT_BYTES = 64
DTYPES = frozenset(["|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"])


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredAs:
    """Which file an index was read from or written to, and what that held then.

    Attributes:
        path: Of the file itself, links followed.
        header_sha256: Of the header: a short name for all of the content.
        written_by: Which version of which program wrote it: "cmpc 0.2.0"; None if it does not say.
        inode, mtime_ns, num_bytes: What the file system said of the file.
    """

    path: Path
    header_sha256: str
    written_by: str | None
    inode: int
    mtime_ns: int
    num_bytes: int

    @classmethod
    def of(cls, path: Path, file: BinaryIO, header: bytes) -> Self:
        """Take down what an open file is."""
        found = os.fstat(file.fileno())
        return cls(
            path=Path(os.path.realpath(path)),
            header_sha256=hashlib.sha256(header).hexdigest(),
            written_by=json.loads(header).get("written_by"),
            inode=found.st_ino,
            mtime_ns=found.st_mtime_ns,
            num_bytes=found.st_size,
        )

    def check_unchanged(self) -> None:
        """Refuse to go on if the file holds something else by now; one that is gone is no loss.

        Raises:
            IndexChanged: it does.
        """
        try:
            with self.path.open("rb") as file:
                start = file.read(PREFIX.size)
        except FileNotFoundError:
            return
        if start[-CHECKSUM_BYTES:].hex() != self.header_sha256:
            raise IndexChanged(
                f"{self.path} must be what it was when this index was opened to be replaced, and "
                f"somebody else changed it meanwhile; open it again and repeat the change"
            )


Verify = bool | Callable[[StoredAs], bool]
"""Whether the checksums of a file are compared, or who decides that for each file."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class IndexFile:
    """An index file that is open: facts, and sections as read-only arrays.

    The arrays stay on disk until they are read, and what they hold is what the file held when it
    was opened, whatever takes its name. ``checksums`` are those of the sections, by name; ``gaps``
    are the bytes before each of them.
    """

    path: Path
    stored_as: StoredAs
    facts: dict[str, Any]
    sections: dict[str, Array]
    checksums: dict[str, str]
    gaps: tuple[memoryview, ...]

    @classmethod
    def open(cls, path: Path) -> Self:
        """Map a file and check its header and length; nothing behind the header is read.

        Raises:
            BadIndexFile: the file is no index, of another version, cut off or altered.
        """
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < PREFIX.size:
                raise no_index(path, file.read(len(MAGIC)))
            content = mapped(file)
            header_json = checked_header(path, content)
            facts, entries = parse_header(path, header_json)
            stored_as = StoredAs.of(path, file, header_json)
        end = PREFIX.size + len(header_json)
        start = aligned(end)
        expected = start + (entries[-1]["offset"] + size_bytes(entries[-1]) if entries else 0)
        if len(content) != expected:
            raise altered(path, f"it must have {expected} bytes and has {len(content)}")
        sections, gaps = {}, []
        for entry in entries:
            at = start + entry["offset"]
            gaps.append(content[end:at])
            sections[entry["name"]] = map_section(content, at, entry)
            end = at + size_bytes(entry)
        return cls(
            path=path,
            stored_as=stored_as,
            facts=facts,
            sections=sections,
            checksums={entry["name"]: entry["sha256"] for entry in entries},
            gaps=tuple(gaps),
        )

    def verify(self, verify: Verify = True) -> bool:
        """Read all sections and compare their checksums, if ``verify`` says so; say if it did.

        Raises:
            BadIndexFile: a section was altered.
        """
        if not (verify if isinstance(verify, bool) else verify(self.stored_as)):
            return False
        for name, array in self.sections.items():
            if sha256_of(array) != self.checksums[name]:
                raise altered(self.path, f"its section {name!r} does not match its checksum")
        if any(map(any, self.gaps)):
            raise altered(self.path, "there are bytes between its sections")
        return True


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


def checked_header(path: Path, content: memoryview) -> bytes:
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
    header_json = bytes(content[PREFIX.size : PREFIX.size + length])
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
        if not isinstance(header.get("written_by"), str | None):
            raise ValueError("its writer is not named as documented")
        offset = 0
        for entry in entries:
            if entry["offset"] != offset:
                raise ValueError(f"section {entry['name']!r} is not where it must be")
            offset = aligned(offset + size_bytes(entry))
        if len({entry["name"] for entry in entries}) < len(entries):
            raise ValueError("two sections have one name")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise altered(path, f"its header cannot be read ({error!r})") from error
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


def map_section(content: memoryview, at: int, entry: dict[str, Any]) -> Array:
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
