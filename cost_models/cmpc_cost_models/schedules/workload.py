"""What is one kernel to compute, and on what kind of processor? The name of a record of tuning.

A workload's key crosses to the worker process and lies in the database; it is JSON with the fields
that differ from their default, so the types of the records tell how to read it.
"""

import dataclasses
import json
import typing
from dataclasses import dataclass
from types import NoneType
from typing import Any, Self

from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.plans.specs import KernelSpec
from cmpc_cost_models.targets.target import Target

__all__ = ["Workload", "read_workload"]

SPECS = {one.__name__: one for one in typing.get_args(KernelSpec)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """One kernel on one kind of processor: what a record in a database is about."""

    spec: KernelSpec
    cpu: str
    vector_bits: int
    num_threads: int = 1

    @classmethod
    def of(cls, spec: KernelSpec, target: Target, *, num_threads: int = 1) -> Self:
        return cls(
            spec=spec, cpu=target.cpu, vector_bits=target.vector_bits, num_threads=num_threads
        )

    @property
    def vector_numbers(self) -> int:
        """How many numbers of its result a vector register holds."""
        return self.vector_bits // (8 * self.spec.target.bytes_per_number)

    @property
    def key(self) -> str:
        """The workload as one line of JSON. Fields at their default are left out: a new field
        of a kernel leaves the keys of all kernels that don't use it as they were."""
        ingredients = {
            "cpu": self.cpu,
            "vector_bits": self.vector_bits,
            "num_threads": self.num_threads,
            "kernel": type(self.spec).__name__,
            "spec": _given_fields(self.spec),
        }
        return json.dumps(ingredients, sort_keys=True, separators=(",", ":"))


def _given_fields(record: Any) -> Any:
    """Return a kernel's description as JSON values, without the fields at their default."""
    if dataclasses.is_dataclass(record):
        pairs = ((field, getattr(record, field.name)) for field in dataclasses.fields(record))
        return {
            field.name: _given_fields(value) for field, value in pairs if value != field.default
        }
    if isinstance(record, tuple):
        return [_given_fields(one) for one in record]
    return record


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
