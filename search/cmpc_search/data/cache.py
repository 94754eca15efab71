"""Keep prepared data in folders that are either whole and proven, or not there.

A folder is written under a temporary name and renamed into place, so a killed process leaves no
half of one and two processes that prepare at once both end with the first one's work. Its record
names the sha256 of every other file; reading checks them, since a flipped bit in a training image
would never show otherwise.
"""

import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from cmpc_base.cache import Cache
from cmpc_base.folders import folder_draft
from cmpc_base.hashing import document_hash, file_hash
from cmpc_base.json_files import read_json, write_json
from cmpc_search.errors import BadData

__all__ = [
    "RECORD_NAME",
    "new_folder",
    "prepared_sizes",
    "read_record",
    "write_record",
]

RECORD_NAME = "image_set.json"
UNREADABLE = (OSError, AttributeError, KeyError, TypeError)
"""What a damaged record makes of itself while it is read."""


def new_folder(final: Path) -> AbstractContextManager[Path]:
    """Yield an empty folder that becomes ``final`` on success, unless another was faster."""
    return folder_draft(final, is_whole=lambda folder: (folder / RECORD_NAME).exists())


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write the record last: it seals the files that are in the folder by now."""
    seals = {path.name: file_hash(path) for path in sorted(folder.iterdir())}
    sealed = {**record, "sha256": seals}
    sealed["record_sha256"] = document_hash(sealed)
    write_json(folder / RECORD_NAME, sealed)


def read_record(folder: Path) -> dict[str, Any]:
    """Return the record of a folder whose files all are what they were, else raise BadData."""
    try:
        record = read_json(folder / RECORD_NAME, error=BadData)
        if record.pop("record_sha256") != document_hash(record):
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
    folders = Cache(cache_dir).data.glob(f"{name}-*px-*/{RECORD_NAME}")
    found = (re.fullmatch(rf"{re.escape(name)}-(\d+)px-\w+", path.parent.name) for path in folders)
    return sorted({int(match[1]) for match in found if match})
