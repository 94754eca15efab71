"""What is one kernel to compute, and on what kind of processor? The name of a record of tuning."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Self

from cmpc_cost_models.plans.specs import KernelSpec
from cmpc_cost_models.targets.target import Target

__all__ = ["Workload"]


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
