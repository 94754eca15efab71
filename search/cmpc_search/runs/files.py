"""Files of a run that a reader finds whole or not at all, whatever happens to the writer."""

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from cmpc_base.files import replacing
from cmpc_search.errors import BadRun, first_complaint

__all__ = ["parsed_record", "read_json", "read_record", "write_json", "write_text"]

Record = TypeVar("Record")


def write_text(path: Path, text: str) -> None:
    """Write ``text`` in UTF-8, whole or not at all.

    A path may hold bytes that are no text. They are written as ``\\udce9``, which is what JSON
    calls such a thing too: a path that comes back from JSON opens the file.
    """
    with replacing(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write one JSON document; NaN and infinity are refused, since JSON has none."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, f"{text}\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read what `write_json` wrote.

    Raises:
        BadRun: the file is missing or not a JSON object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))  # an editor may add a mark
    except (OSError, ValueError, RecursionError) as error:
        raise BadRun(f"{path} must be a readable JSON file: {error}") from error
    if not isinstance(document, dict):
        raise BadRun(f"{path} must hold a JSON object, got {type(document).__name__}")
    return document


def read_record(path: Path, kind: type[Record]) -> Record:
    """Read a JSON object as a pydantic model or a dataclass of plain fields.

    Raises:
        BadRun: the file is missing, not a JSON object, or lacks what ``kind`` has.
    """
    return parsed_record(read_json(path), kind, path)


def parsed_record(document: dict[str, Any], kind: type[Record], path: Path) -> Record:
    """Do the same with what was read of ``path`` already."""
    try:
        return TypeAdapter(kind).validate_python(document)
    except ValidationError as error:
        raise BadRun(f"{path} must hold what cmpc wrote there; {first_complaint(error)}") from error
