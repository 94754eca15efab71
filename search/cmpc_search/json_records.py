"""JSON documents that become records: checked by pydantic, with one kind of complaint."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from cmpc_base.errors import CmpcError
from cmpc_base.json_files import read_json

__all__ = ["first_complaint", "parsed_record", "read_record"]

Record = TypeVar("Record")


def read_record(
    path: Path, kind: type[Record], *, error: type[CmpcError], advice: str = ""
) -> Record:
    """Read a JSON object as a pydantic model or a dataclass of plain fields.

    Args:
        advice: What to do if that fails, for the message.

    Raises:
        CmpcError: ``error``, if the file is missing, no JSON object, or lacks what ``kind`` has.
    """
    document = read_json(path, error=error, advice=advice)
    return parsed_record(document, kind, path, error=error, advice=advice)


def parsed_record(
    document: dict[str, Any],
    kind: type[Record],
    path: Path,
    *,
    error: type[CmpcError],
    advice: str = "",
) -> Record:
    """Do the same with what was read of ``path`` already."""
    try:
        return TypeAdapter(kind).validate_python(document)
    except ValidationError as found:
        told = f"{path} must hold what cmpc wrote there; {first_complaint(found)}"
        raise error(f"{told}; {advice}" if advice else told) from found


def first_complaint(error: ValidationError) -> str:
    """Return what pydantic found first, and where: "settings.trials: Input should be ..."."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else str(first["msg"])
