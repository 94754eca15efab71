"""Records of plain fields, which are JSON objects as they stand."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Self

from cmpc_base.json_files import known_fields
from cmpc_cost_models.errors import BadArgument

__all__ = ["PlainRecord"]


class PlainRecord:
    """Base of dataclasses whose fields JSON can hold."""

    __slots__ = ()

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values; ``from_json`` reads them back unchanged."""
        record: Any = self
        return {one.name: getattr(record, one.name) for one in fields(record)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote, also an earlier version that knew fewer fields.

        Raises:
            BadArgument: a field is unknown or missing.
        """
        return cls(**known_fields(cls, document, error=BadArgument))
