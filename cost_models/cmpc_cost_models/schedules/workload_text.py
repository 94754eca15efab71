"""Read a workload back from its key.

A key crosses to the worker process and lies in the database; it is JSON with the fields that differ
from their default, so the types of the records tell how to read it.
"""

import dataclasses
import json
import typing
from types import NoneType
from typing import Any

from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.plans.specs import KernelSpec
from cmpc_cost_models.schedules.schedule import Workload

__all__ = ["read_workload"]

SPECS = {one.__name__: one for one in typing.get_args(KernelSpec)}


def read_workload(key: str) -> Workload:
    """Return the workload whose ``key`` this is.

    Raises:
        BadArgument: no workload of this version has such a key.
    """
    try:
        document = json.loads(key)
        spec = _read(SPECS[document.pop("kernel")], document.pop("spec"))
        workload = Workload(spec=spec, **document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadArgument(f"a workload's key must describe a kernel, got {key!r}") from error
    if workload.key != key:
        raise BadArgument(f"a workload's key must be that of this version, got {key!r}")
    return workload


def _read(kind: Any, value: Any) -> Any:
    """Turn JSON values into what a field of type ``kind`` holds."""
    options = [one for one in typing.get_args(kind) if one is not NoneType]
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{name: _read(hints[name], one) for name, one in value.items()})
    if typing.get_origin(kind) is tuple:
        each = options * len(value) if options[1:] in ([], [...]) else options
        return tuple(_read(one, part) for one, part in zip(each, value, strict=False))
    if NoneType in typing.get_args(kind) and value is not None:
        return _read(options[0], value)
    return value
