"""Keep prepared data in folders that are either whole and proven, or not there.

A folder is written under a temporary name and renamed into place, so a killed process leaves no
half of one and two processes that prepare at once both end with the first one's work. Its record
names the sha256 of every other file; reading checks them, since a flipped bit in a training image
would never show otherwise.
"""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from cmpc_base.files import replacing
from cmpc_base.hashing import file_hash
from cmpc_search.errors import BadData

__all__ = [
    "RECORD_NAME",
    "new_folder",
    "prepared_sizes",
    "read_record",
    "remove_folder",
    "write_record",
]

RECORD_NAME = "image_set.json"
UNREADABLE = (
    OSError,
    UnicodeDecodeError,
    json.JSONDecodeError,
    AttributeError,
    KeyError,
    TypeError,
)
"""What a damaged record makes of itself while it is read."""


@contextmanager
def new_folder(final: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes ``final`` on success, unless another was faster."""
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.parent / f".{final.name}-{uuid4().hex}"
    temporary.mkdir()  # not mkdtemp: its folder is closed to other users of a shared cache
    try:
        yield temporary
        try:
            temporary.rename(final)
        except OSError:
            if not (final / RECORD_NAME).exists():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Move a folder out of the way at once, then delete it: nobody meets it half deleted."""
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        folder.rename(aside / "removed")
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write the record last: it seals the files that are in the folder by now."""
    seals = {path.name: file_hash(path) for path in sorted(folder.iterdir())}
    sealed = {**record, "sha256": seals}
    sealed["record_sha256"] = _sha256_of_record(sealed)
    with replacing(folder / RECORD_NAME) as file:
        file.write(json.dumps(sealed, ensure_ascii=False).encode())


def read_record(folder: Path) -> dict[str, Any]:
    """Return the record of a folder whose files all are what they were, else raise BadData."""
    try:
        record: dict[str, Any] = json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))
        if record.pop("record_sha256") != _sha256_of_record(record):
            raise BadData(f"{folder / RECORD_NAME} is not what was written: its sha256 differs")
        seals: dict[str, str] = record["sha256"]
        for name, seal in seals.items():
            if file_hash(folder / name) != seal:
                raise BadData(f"{folder / name} is not what was written: its sha256 differs")
    except UNREADABLE as error:
        raise BadData(f"{folder} can't be read: {type(error).__name__} {error}") from error
    return record


def prepared_sizes(name: str, cache_dir: Path) -> list[int]:
    """Return the sizes at which the cache holds a data set, in pixels, ascending."""
    folders = (cache_dir / "data").glob(f"{name}-*px-*/{RECORD_NAME}")
    found = (re.fullmatch(rf"{re.escape(name)}-(\d+)px-\w+", path.parent.name) for path in folders)
    return sorted({int(match[1]) for match in found if match})


def _sha256_of_record(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
