"""The file of a gallery index: what each byte means, how it is written, when it is refused.

    offset      bytes       content (integers are little-endian)
    0           8           magic, b"cmpcgidx"
    8           4           version, uint32, now 1
    12          8           H, the header's length, uint64
    20          32          SHA-256 of the header
    52          H           header, a JSON object in UTF-8: metric, num_items G, dimension D,
                            item_names, labels, network_sha256, rows_sha256
    52 + H      0 to 63     zeros, up to the next multiple of 64
    after them  4 x G x D   rows, float32, row by row; the file ends with them

No byte is free: each is a constant, fixed by another one, or under one of the two checksums, so
any change is noticed. Rows begin on a cache line, hence are aligned when the file is mapped.
Nothing is executed on reading: JSON and plain numbers only. A writer fills a temporary file beside
the target and renames it, so a reader sees the old index or the new one.
"""

import hashlib
import json
import os
import secrets
import struct
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from cmpc_kernels._checks import METRICS
from cmpc_kernels.errors import BadIndexFile

__all__ = ["IndexHeader", "read_index", "write_index"]

MAGIC = b"cmpcgidx"
VERSION = 1
PREFIX = struct.Struct("<8sIQ32s")
ALIGNMENT_BYTES = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexHeader:
    """All of an index but its rows."""

    metric: str
    num_items: int
    dimension: int
    item_names: tuple[str, ...] | None
    labels: tuple[int, ...] | None
    network_sha256: str | None


def write_index(path: Path, header: IndexHeader, row_GD: npt.NDArray[np.float32]) -> None:
    """Write the file atomically."""
    row_GD = np.ascontiguousarray(row_GD, "<f4")
    content = asdict(header) | {"rows_sha256": _sha256_of_rows(row_GD)}
    header_json = json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
    checksum = hashlib.sha256(header_json).digest()
    start = PREFIX.pack(MAGIC, VERSION, len(header_json), checksum) + header_json
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(start.ljust(_rows_offset(len(header_json)), b"\0"))
            file.write(_bytes_of(row_GD))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_index(path: Path, *, verify_rows: bool) -> tuple[IndexHeader, npt.NDArray[np.float32]]:
    """Return the header and the memory-mapped, read-only rows [G, D]."""
    with path.open("rb") as file:
        header_length, checksum = _read_prefix(path, file)
        header_json = file.read(header_length)
        if hashlib.sha256(header_json).digest() != checksum:
            raise _altered(path, "its header does not match its checksum")
        header, rows_sha256 = _parse_header(path, header_json)
        offset_bytes = _rows_offset(header_length)
        if any(file.read(offset_bytes - file.tell())):
            raise _altered(path, "there are bytes between its header and its rows")
    _check_size(path, offset_bytes + 4 * header.num_items * header.dimension)
    row_GD = _map_rows(path, offset_bytes, (header.num_items, header.dimension))
    if verify_rows and _sha256_of_rows(row_GD) != rows_sha256:
        raise _altered(path, "its rows do not match their checksum")
    return header, row_GD


def _read_prefix(path: Path, file: BinaryIO) -> tuple[int, bytes]:
    """Return the header's length and checksum."""
    prefix = file.read(PREFIX.size)
    if not prefix.startswith(MAGIC):
        raise BadIndexFile(
            f"an index file must begin with {MAGIC.decode()!r}, got {prefix[:8]!r} in {path}; "
            f"give a file written by GalleryIndex.save"
        )
    if len(prefix) < PREFIX.size:
        raise _altered(path, f"it ends after {len(prefix)} bytes")
    _, version, header_length, checksum = PREFIX.unpack(prefix)
    if version != VERSION:
        raise BadIndexFile(
            f"this release reads index files of version {VERSION}, got version {version} in "
            f"{path}; build the index again"
        )
    if header_length > path.stat().st_size:
        raise _altered(path, "it is shorter than its header")
    return header_length, checksum


def _parse_header(path: Path, header_json: bytes) -> tuple[IndexHeader, str]:
    """Return the header and the rows' checksum; what another writer got wrong is refused too."""
    try:
        content = json.loads(header_json)
        rows_sha256 = content.pop("rows_sha256")
        known = {field.name: content.pop(field.name) for field in fields(IndexHeader)}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise _altered(path, f"its header cannot be read ({error!r})") from error
    header = IndexHeader(**known)
    if content or not _is_sound(header):
        raise _altered(path, "its header holds unexpected values")
    names, labels = header.item_names, header.labels
    header = replace(
        header,
        item_names=None if names is None else tuple(names),
        labels=None if labels is None else tuple(labels),
    )
    return header, str(rows_sha256)


def _is_sound(header: IndexHeader) -> bool:
    """Say whether a header from outside keeps the promises of its annotations."""
    return (
        header.metric in METRICS
        and _is_count(header.num_items)
        and _is_count(header.dimension)
        and header.dimension > 0
        and _is_list_of(header.item_names, str, header.num_items)
        and _is_list_of(header.labels, int, header.num_items)
        and isinstance(header.network_sha256, str | None)
    )


def _map_rows(path: Path, offset_bytes: int, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    if 0 in shape:
        return np.empty(shape, np.float32)  # an empty range cannot be mapped
    return np.asarray(np.memmap(path, "<f4", mode="r", offset=offset_bytes, shape=shape))


def _check_size(path: Path, expected_bytes: int) -> None:
    if (size_bytes := path.stat().st_size) != expected_bytes:
        raise _altered(path, f"it must have {expected_bytes} bytes and has {size_bytes}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_list_of(values: Any, kind: type, length: int) -> bool:
    if values is None:
        return True
    return (
        isinstance(values, list)
        and len(values) == length
        and all(type(value) is kind for value in values)
    )


def _rows_offset(header_length: int) -> int:
    return -(-(PREFIX.size + header_length) // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def _bytes_of(row_GD: npt.NDArray[np.float32]) -> memoryview:
    return row_GD.reshape(-1).view(np.uint8).data  # a view, of a mapped file too


def _sha256_of_rows(row_GD: npt.NDArray[np.float32]) -> str:
    return hashlib.sha256(_bytes_of(row_GD)).hexdigest()


def _altered(path: Path, reason: str) -> BadIndexFile:
    return BadIndexFile(
        f"an index file must be read as it was written, got {path}: {reason}; "
        f"copy it again or rebuild the index"
    )
