"""Compiled networks on disk: a library beside the record of what it is, whole or not there.

    <folder>/<key>/network.so  compiled.json

They are made in the cache (``network``). What ships of a run is kept in the run too: its library
must be the one that was timed, whatever the same graph would become today.
"""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cmpc_base.folders import folder_draft
from cmpc_base.hashing import file_hash
from cmpc_base.json_files import read_json, write_json
from cmpc_cost_models.errors import CompileFailed
from cmpc_cost_models.identity import target_document
from cmpc_cost_models.records import CompiledNetwork
from cmpc_cost_models.targets.target import Target

__all__ = ["LIBRARY_NAME", "find_compiled", "keep_compiled", "publish_entry", "read_entry"]

LIBRARY_NAME = "network.so"
RECORD_NAME = "compiled.json"
TARGET_KEY = "target"  # in a record: all of the target that the code depends on


def read_entry(folder: Path) -> CompiledNetwork | None:
    """Return the entry in ``folder`` if it is whole and its library is the recorded one."""
    try:
        record = read_json(folder / RECORD_NAME)
        if file_hash(folder / LIBRARY_NAME) != record["sha256"]:
            return None
        place = {"path": str(folder / LIBRARY_NAME), "from_cache": True}
        fields = {name: value for name, value in record.items() if name != TARGET_KEY}
        return CompiledNetwork.from_json(fields | place)
    except (OSError, ValueError, KeyError, TypeError):  # fields of another time are a ValueError
        return None


def publish_entry(
    folder: Path, target: Target, make: Callable[[Path], dict[str, Any]]
) -> CompiledNetwork:
    """Put a library into ``folder``, and return what is there in the end.

    That is another process's, should it have been faster: who compiles twice need not get the same
    bytes, and whoever measures must name those that stay.

    Args:
        make: Writes the library into the folder that it is given, and returns its record.

    Raises:
        CompileFailed: what was put there is altered or removed at once.
        OSError: the file system refuses.
    """
    with folder_draft(folder, is_whole=_is_whole, replace=True) as draft:
        record = make(draft) | {
            "sha256": file_hash(draft / LIBRARY_NAME),
            TARGET_KEY: target_document(target),
        }
        write_json(draft / RECORD_NAME, record)
    published = read_entry(folder)
    if published is None:
        raise CompileFailed(f"{folder} must keep what was compiled, and was altered at once")
    is_ours = published.sha256 == record["sha256"]
    return dataclasses.replace(published, from_cache=not is_ours)


def find_compiled(folder: Path, sha256: str, target: Target) -> CompiledNetwork | None:
    """Return the compiled network of this hash that was made for ``target``, if it is in an entry.

    Nothing is compiled: it is for whoever wants the very library that a cost was measured of.
    """
    for path in sorted(folder.glob(f"*/{RECORD_NAME}")):
        try:
            record = read_json(path)
            is_wanted = (record["sha256"], record[TARGET_KEY]) == (sha256, target_document(target))
        except (OSError, ValueError, KeyError, TypeError):  # somebody is at it, or it is damaged
            continue
        if is_wanted and (found := read_entry(path.parent)):
            return found
    return None


def keep_compiled(network: CompiledNetwork, folder: Path) -> None:
    """Copy the entry of a network into ``folder``, where no trimming of the cache reaches it.

    Raises:
        OSError: it is no longer where it was, or the file system refuses.
    """
    entry = network.path.parent
    with folder_draft(folder / entry.name, is_whole=_is_whole, replace=True) as draft:
        for name in (LIBRARY_NAME, RECORD_NAME):
            shutil.copyfile(entry / name, draft / name)


def _is_whole(folder: Path) -> bool:
    return read_entry(folder) is not None
