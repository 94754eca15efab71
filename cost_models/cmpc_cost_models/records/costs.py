"""What is a cost, and what came of measuring one network?

A cost is never a bare number: it says its unit, where it comes from and which compiled artefact it
belongs to. ``measured``, ``predicted`` and ``counted`` values are never mixed under one name. A
network that would not compile, hung, crashed or answered wrongly is a ``Measurement`` with an
error: a result, not an exception. Where nobody can tell the cost, ``Unknown`` says why.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from cmpc_base.json_files import known_fields
from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.records.evidence import Evidence, read_evidence
from cmpc_cost_models.records.networks import CompiledNetwork

__all__ = ["SOURCES", "Cost", "Interval", "Measurement", "Unknown"]

SOURCES = ("measured", "predicted", "counted")
EVIDENCE_KEY = "machine"  # in JSON, of which users have scripts


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

    def of_network(self, compiled: CompiledNetwork) -> Self:
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
