"""What is a cost, and what came of measuring one network? The records everything here returns.

A cost is never a bare number: it says its unit, where it comes from and which compiled artefact it
belongs to. ``measured``, ``predicted`` and ``counted`` values are never mixed under one name. A
network that would not compile, hung, crashed or answered wrongly is a ``Measurement`` with an
error: a result, not an exception.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from cmpc_cost_models.errors import BadArgument

__all__ = ["SOURCES", "CompiledNetwork", "Cost", "Measurement"]

SOURCES = ("measured", "predicted", "counted")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """A number with a unit, a source and its evidence.

    Attributes:
        name: What was asked, e.g. ``latency``.
        value: The answer; the median for measured latencies.
        source: One of ``SOURCES``.
        count: How many repeats the value summarises; 1 where nothing is repeated.
        spread: Median absolute deviation of the repeats, in ``unit``.
        target: Name of the target the value holds for; ``None`` where it holds on all.
        machine: The machine that measured, as ``machine.describe_machine`` tells it.
        artefact_sha256: Hash of the compiled network the value belongs to.
    """

    name: str
    value: float
    unit: str
    source: str
    count: int = 1
    spread: float | None = None
    p90: float | None = None
    p99: float | None = None
    target: str | None = None
    machine: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    artefact_sha256: str | None = None

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise BadArgument(f"`source` must be one of {SOURCES}, got {self.source!r}")
        if not math.isfinite(self.value) or self.value < 0:
            raise BadArgument(f"`0 <= value < inf` must hold, got {self.value}")
        if self.count < 1:
            raise BadArgument(f"`count >= 1` must hold, got {self.count}")

    def to_json(self) -> dict[str, Any]:
        """Return the cost as JSON values; ``from_json`` reads it back unchanged."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote.

        Raises:
            BadArgument: a field is unknown, missing or breaks its condition.
        """
        return cls(**_known_fields(cls, document))


@dataclass(frozen=True, kw_only=True, slots=True)
class CompiledNetwork:
    """A compiled network on disk: one shared library with code and weights.

    Attributes:
        path: The library.
        sha256: Hash of the library: what a measurement names and a bundle must contain.
        graph_sha256: Hash of the ONNX file it was compiled from.
        from_cache: Whether an earlier call had compiled it.
        compile_seconds: What compiling took when it was done.
        input_shape, output_shape: float32 tensors, batch first.
    """

    path: Path
    sha256: str
    graph_sha256: str
    from_cache: bool
    compile_seconds: float
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "path": str(self.path),
            "input_shape": list(self.input_shape),
            "output_shape": list(self.output_shape),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        values = _known_fields(cls, document)
        shapes = {name: tuple(values[name]) for name in ("input_shape", "output_shape")}
        return cls(**values | shapes | {"path": Path(values["path"])})


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """What came of one network on one target: a cost, or the reason why there is none.

    Attributes:
        cost: The measured cost; ``None`` exactly when ``error`` is set.
        error: Why the network has no cost, in words.
        compiled: What was compiled, as far as it came.
        is_stable: Whether the timing may be trusted; ``unstable_reasons`` says why not.
    """

    cost: Cost | None = None
    error: str | None = None
    compiled: CompiledNetwork | None = None
    is_stable: bool = False
    unstable_reasons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.cost is None) == (self.error is None):
            raise BadArgument(
                "a measurement must have a cost or an error, and not both, "
                f"got {self.cost=} and {self.error=}"
            )

    def to_json(self) -> dict[str, Any]:
        return {
            "cost": self.cost and self.cost.to_json(),
            "error": self.error,
            "compiled": self.compiled and self.compiled.to_json(),
            "is_stable": self.is_stable,
            "unstable_reasons": list(self.unstable_reasons),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        values = _known_fields(cls, document)
        cost, compiled = values.get("cost"), values.get("compiled")
        return cls(
            cost=None if cost is None else Cost.from_json(cost),
            error=values.get("error"),
            compiled=None if compiled is None else CompiledNetwork.from_json(compiled),
            is_stable=values.get("is_stable", False),
            unstable_reasons=tuple(values.get("unstable_reasons", ())),
        )


def _known_fields(record: type[Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``document`` if its keys are those of ``record``; json.loads gives nothing else."""
    names = {one.name for one in fields(record)}
    required = {
        one.name
        for one in fields(record)
        if one.default is MISSING and one.default_factory is MISSING
    }
    if unknown := document.keys() - names:
        raise BadArgument(f"a {record.__name__} has no field {sorted(unknown)}")
    if missing := required - document.keys():
        raise BadArgument(f"a {record.__name__} needs the field {sorted(missing)}")
    return json.loads(json.dumps(dict(document)))  # type: ignore[no-any-return]
