"""What is a cost, and what came of measuring one network? The records everything here returns.

A cost is never a bare number: it says its unit, where it comes from and which compiled artefact it
belongs to. ``measured``, ``predicted`` and ``counted`` values are never mixed under one name. A
network that would not compile, hung, crashed or answered wrongly is a ``Measurement`` with an
error: a result, not an exception. Where nobody can tell the cost, ``Unknown`` says why.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from cmpc_base.json_files import known_fields
from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.evidence import Evidence, read_evidence

__all__ = [
    "ORIGINS",
    "SOURCES",
    "CompiledNetwork",
    "Cost",
    "Interval",
    "KernelCall",
    "KernelRecord",
    "Measurement",
    "NodePath",
    "Unknown",
]

SOURCES = ("measured", "predicted", "counted")
ORIGINS = ("record", "similar", "rule", "importer")
EVIDENCE_KEY = "machine"  # in JSON, of which users have scripts
PATHS = ("kernel", "folded", "import")
MAKERS = ("kernel", "import", "vm")


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """Between which values something lies, with what probability, 0 < ``level`` < 1.

    Raises:
        BadArgument: it is no interval.
    """

    low: float
    high: float
    level: float

    def __post_init__(self) -> None:
        if not (self.low <= self.high and 0 < self.level < 1):
            raise BadArgument(f"`low <= high` and `0 < level < 1` must hold, got {self}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """A number with a unit, a source and its evidence.

    Attributes:
        name: What was asked, e.g. ``latency``.
        value: The answer.
        source: One of ``SOURCES``.
        estimator: How the value follows from what was seen, e.g. ``undisturbed median`` (see
            ``timing.verdict``); ``None`` where there is nothing to estimate.
        count: How many repeats the value summarises; 1 where nothing is repeated.
        num_set_aside: How many repeats besides the value leaves out, as something disturbed them.
        spread: Median absolute deviation of the repeats that count, in ``unit``.
        num_single_runs: How many inferences were timed one by one, for the percentiles.
        p50, p90, p99: Percentiles of those, disturbed ones included, in ``unit``; ``None`` where
            too few were timed.
        drift: Relative change from the first third of the repeats to the last.
        target: Name of the target the value holds for; ``None`` where it holds on all.
        interval: Between which values the truth lies, where the source can tell.
        evidence: How it was timed, or what predicted it.
        not_observed: What could have disturbed the measurement unseen, in words.
        artefact_sha256: Hash of the compiled network the value belongs to.
        kernel_origins: How many of its kernels have each origin, see ``KernelRecord.origin``.
        schedules_sha256: The state of the tuned schedules that it was compiled with.
    """

    name: str
    value: float
    unit: str
    source: str
    estimator: str | None = None
    count: int = 1
    num_set_aside: int = 0
    spread: float | None = None
    num_single_runs: int = 0
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    drift: float | None = None
    target: str | None = None
    interval: Interval | None = None
    evidence: Evidence | None = None
    not_observed: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    artefact_sha256: str | None = None
    kernel_origins: Mapping[str, int] = field(default_factory=dict)
    schedules_sha256: str | None = None

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise BadArgument.among(SOURCES, "source of a cost", self.source)
        if not math.isfinite(self.value) or self.value < 0:
            raise BadArgument(f"`0 <= value < inf` must hold, got {self.value}")
        if self.count < 1:
            raise BadArgument(f"`count >= 1` must hold, got {self.count}")

    def of_network(self, compiled: "CompiledNetwork") -> Self:
        """Return the cost as that of a compiled network."""
        return replace(
            self,
            artefact_sha256=compiled.sha256,
            kernel_origins=compiled.num_kernels_by_origin(),
            schedules_sha256=compiled.schedules_sha256,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the cost as JSON values; ``from_json`` reads it back unchanged."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        del values["evidence"]
        return values | {
            "versions": dict(self.versions),
            "kernel_origins": dict(self.kernel_origins),
            "not_observed": list(self.not_observed),
            "interval": self.interval and asdict(self.interval),
            EVIDENCE_KEY: {} if self.evidence is None else self.evidence.to_json(),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote.

        Raises:
            BadArgument: a field is unknown, missing or breaks its condition.
        """
        try:
            document = dict(document)
            evidence = read_evidence(document.pop(EVIDENCE_KEY, {}))
            interval = document.pop("interval", None)
            values = known_fields(cls, document, error=BadArgument)
            return cls(
                **values
                | {
                    "not_observed": tuple(values.get("not_observed", ())),
                    "interval": None if interval is None else Interval(**interval),
                    "evidence": evidence,
                }
            )
        except (TypeError, AttributeError, KeyError) as error:
            raise BadArgument(f"a cost must have the fields of this version: {error}") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelRecord:
    """One function of a compiled network, as its writer knows it.

    Attributes:
        symbol: What the compiled network calls it.
        kind: What it computes, e.g. ``depthwise convolution``.
        shape: Of what size, e.g. ``3x3/2, 112x112x16 to 56x56x64``.
        flops: Counted: two for each multiply-add of one call. ``None`` where nobody could count
            them, as in some of the importer's loops.
        origin: Where its loops come from: a tuned ``record`` of this very workload, one of a
            ``similar`` workload, a ``rule``, or TVM's ``importer``, which leaves loops plain.
        num_bytes: Counted: what one call reads and writes, each value once; ``None`` where nobody
            could count it.
        workload: The key of what it computes for which kind of processor, see
            ``schedules.workload``; ``None`` where it is none of ours.
        schedule: The loops' parameters; ``None`` where there are none.
    """

    symbol: str
    kind: str
    shape: str
    flops: int | None
    origin: str
    num_bytes: int | None = None
    workload: str | None = None
    schedule: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.origin not in ORIGINS:
            raise BadArgument.among(ORIGINS, "origin of a kernel", self.origin)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        return cls(**known_fields(cls, document, error=BadArgument))


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelCall:
    """One call that a compiled network makes.

    Attributes:
        symbol: The function: that of a ``KernelRecord``, unless ``made_by`` is ``vm``.
        made_by: Who wrote it: ``kernel``, one of ours; ``import``, a loop of TVM's importer;
            ``vm``, a function of TVM's virtual machine, such as a view in another shape.
    """

    symbol: str
    made_by: str

    def __post_init__(self) -> None:
        if self.made_by not in MAKERS:
            raise BadArgument.among(MAKERS, "maker of a kernel", self.made_by)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        return cls(**known_fields(cls, document, error=BadArgument))


@dataclass(frozen=True, kw_only=True, slots=True)
class NodePath:
    """Which way one node of the ONNX graph took.

    Attributes:
        node, operator: Its name and its ONNX operator.
        path: ``kernel``, one of ours; ``folded`` into a constant or another node's kernel;
            ``import``, TVM's importer.
        kernel: The function that computes it; ``None`` where it was folded into a constant.
        reason: Of an import, why it is none of our kernels; ``None`` where another node is why.
    """

    node: str
    operator: str
    path: str
    kernel: str | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.path not in PATHS:
            raise BadArgument.among(PATHS, "path of a node", self.path)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        return cls(**known_fields(cls, document, error=BadArgument))


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
        num_threads: How many threads its loops are divided for.
        schedules_sha256: The state of the tuned schedules that it was compiled with; ``None`` where
            rules chose them all.
        kernels: Its functions, each once.
        calls: What one inference calls, in order, a function as often as it is called.
        nodes: Which way each node of the graph took.
    """

    path: Path
    sha256: str
    graph_sha256: str
    from_cache: bool
    compile_seconds: float
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    num_threads: int = 1
    schedules_sha256: str | None = None
    kernels: tuple[KernelRecord, ...] = ()
    calls: tuple[KernelCall, ...] = ()
    nodes: tuple[NodePath, ...] = ()

    def called_kernels(self) -> tuple[KernelRecord, ...]:
        """Return the function of each call, in order; calls of the virtual machine are left out."""
        records = {one.symbol: one for one in self.kernels}
        return tuple(records[one.symbol] for one in self.calls if one.made_by != "vm")

    def num_kernels_by_origin(self) -> dict[str, int]:
        """Return how many functions come from each origin; those from none are left out."""
        counts = Counter(kernel.origin for kernel in self.kernels)
        return {origin: counts[origin] for origin in ORIGINS if counts[origin]}

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "path": str(self.path),
            "input_shape": list(self.input_shape),
            "output_shape": list(self.output_shape),
            "kernels": [kernel.to_json() for kernel in self.kernels],
            "calls": [call.to_json() for call in self.calls],
            "nodes": [node.to_json() for node in self.nodes],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        values = known_fields(cls, document, error=BadArgument)
        shapes = {name: tuple(values[name]) for name in ("input_shape", "output_shape")}
        lists = {
            "kernels": tuple(KernelRecord.from_json(one) for one in values.get("kernels", ())),
            "calls": tuple(KernelCall.from_json(one) for one in values.get("calls", ())),
            "nodes": tuple(NodePath.from_json(one) for one in values.get("nodes", ())),
        }
        return cls(**values | shapes | lists | {"path": Path(values["path"])})


@dataclass(frozen=True, slots=True)
class Unknown:
    """A cost that can't be told, and why not: an answer, neither a number nor a failure.

    Raises:
        BadArgument: there is no reason.
    """

    reasons: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.reasons:
            raise BadArgument("what is unknown must have a reason, got none")


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """What came of one network on one target: a cost, or the reason why there is none.

    Attributes:
        cost: The measured or predicted cost; exactly one of it, ``error`` and ``unknown`` is set.
        error: Why the network is no good, in words.
        unknown: Why its cost can't be told, although nothing is wrong with it.
        compiled: What was compiled, as far as it came.
        is_stable: Whether the cost may be trusted as what its source says, a timing that nothing
            disturbed for example; ``unstable_reasons`` says why not.
    """

    cost: Cost | None = None
    error: str | None = None
    unknown: Unknown | None = None
    compiled: CompiledNetwork | None = None
    is_stable: bool = False
    unstable_reasons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if sum(one is not None for one in (self.cost, self.error, self.unknown)) != 1:
            raise BadArgument(
                "a measurement must have a cost, an error or reasons why its cost is unknown, "
                f"one of them, got {self.cost=}, {self.error=} and {self.unknown=}"
            )

    @property
    def unknown_reasons(self) -> tuple[str, ...]:
        """Why the cost can't be told; empty where it can, or where there is an error."""
        return () if self.unknown is None else self.unknown.reasons

    def to_json(self) -> dict[str, Any]:
        return {
            "cost": self.cost and self.cost.to_json(),
            "error": self.error,
            "unknown_reasons": list(self.unknown_reasons),
            "compiled": self.compiled and self.compiled.to_json(),
            "is_stable": self.is_stable,
            "unstable_reasons": list(self.unstable_reasons),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        document = dict(document)
        reasons = tuple(document.pop("unknown_reasons", ()))
        values = known_fields(cls, document, error=BadArgument)
        cost, compiled = values.get("cost"), values.get("compiled")
        return cls(
            cost=None if cost is None else Cost.from_json(cost),
            error=values.get("error"),
            unknown=Unknown(reasons) if reasons else None,
            compiled=None if compiled is None else CompiledNetwork.from_json(compiled),
            is_stable=values.get("is_stable", False),
            unstable_reasons=tuple(values.get("unstable_reasons", ())),
        )
