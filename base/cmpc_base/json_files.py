"""JSON documents on disk: written whole or not at all, and read with one kind of complaint."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from cmpc_base.errors import BadArgument, BadFile, CmpcError
from cmpc_base.files import write_text

__all__ = ["known_fields", "read_document", "read_json", "write_json"]


def write_json(path: Path, document: object) -> None:
    """Write one JSON document; NaN and infinity are refused, since JSON has none.

    Raises:
        OSError: the file system refuses.
        ValueError: the document holds NaN or infinity.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, f"{text}\n")


def read_json(path: Path, *, error: type[CmpcError] = BadFile, advice: str = "") -> dict[str, Any]:
    """Read the JSON object in ``path``.

    Args:
        error: What is raised, of the caller's own tree where it has one for such files.
        advice: What to do then, for the message.

    Raises:
        CmpcError: ``error``, if the file is missing or not a JSON object.
    """
    document = read_document(path, error=error, advice=advice)
    if not isinstance(document, dict):
        told = f"{path} must hold a JSON object, got {type(document).__name__}"
        raise error(_advised(told, advice))
    return document


def read_document(path: Path, *, error: type[CmpcError] = BadFile, advice: str = "") -> Any:
    """Read any JSON document; see `read_json`."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))  # an editor may add a mark
    except (OSError, ValueError, RecursionError) as found:
        reason = found.strerror if isinstance(found, OSError) else found
        raise error(_advised(f"{path} must be a readable JSON file: {reason}", advice)) from found


def _advised(told: str, advice: str) -> str:
    return f"{told}; {advice}" if advice else told


def known_fields(
    record: type[Any], document: Mapping[str, Any], *, error: type[BadArgument] = BadArgument
) -> dict[str, Any]:
    """Return a copy of ``document``, JSON values, if its keys are the fields of a dataclass.

    Args:
        error: What is raised, of the caller's own tree where it has one.

    Raises:
        BadArgument: ``error``, if it is no mapping, or a field is unknown or missing.
    """
    if not isinstance(document, Mapping):
        raise error(f"a {record.__name__} must be an object with fields, got {document!r}")
    if unknown := document.keys() - {one.name for one in fields(record)}:
        raise error(f"a {record.__name__} has no field {sorted(unknown)}")
    required = {one.name for one in fields(record) if _is_required(one)}
    if missing := required - document.keys():
        raise error(f"a {record.__name__} needs the field {sorted(missing)}")
    return json.loads(json.dumps(dict(document)))  # type: ignore[no-any-return]


def _is_required(one: Field[Any]) -> bool:
    return one.default is MISSING and one.default_factory is MISSING
