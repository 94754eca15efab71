"""What stands behind a cost? Who timed it, how and in what conditions; or what predicted it.

A cost has one of two kinds of evidence. In JSON both are the object ``machine``, of plain facts
beside each other, as every run since the first has them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from cmpc_base.hashing import document_hash
from cmpc_cost_models.records.plain import PlainRecord

__all__ = [
    "UNKNOWN_MACHINE",
    "Conditions",
    "Evidence",
    "Fingerprint",
    "PredictionEvidence",
    "TimingEvidence",
    "TimingSettings",
    "read_evidence",
]

NOT_IN_KEY = ("kernel",)  # it is replaced every other week: histories would never grow old


@dataclass(frozen=True, kw_only=True, slots=True)
class Fingerprint(PlainRecord):
    """What a machine tells of itself; ``None`` where it doesn't.

    Attributes:
        cpu_model: Its name; on ARM the number of the part.
        features_sha256: Of the instruction-set flags, sorted.
        governor: What decides over the clock of the first processor.
        has_turbo: Whether clocks may rise for a while.
        is_virtual: Whether a hypervisor is below.
        kernel: The system's release.
    """

    cpu_model: str | None = None
    architecture: str | None = None
    num_cores: int | None = None
    features_sha256: str | None = None
    governor: str | None = None
    has_turbo: bool | None = None
    is_virtual: bool | None = None
    kernel: str | None = None

    @property
    def key(self) -> str:
        """A short name that is the same for as long as times can be compared."""
        facts = {name: value for name, value in asdict(self).items() if name not in NOT_IN_KEY}
        return document_hash(facts)[:16]


UNKNOWN_MACHINE = Fingerprint()


@dataclass(frozen=True, kw_only=True, slots=True)
class TimingSettings:
    """How to time; ``timing.settings.MeasureSettings`` says what the fields mean."""

    num_blocks: int
    block_ms: float
    warmup_ms: float
    max_seconds: float
    span_seconds: float = 0.0
    num_single_runs: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """What happened between two snapshots; shares are of the wall time between them.

    Attributes:
        cpu_share: How much of the time the timing thread ran; ``None`` on a device, where it also
            waits to be asked.
        waiting_share: How much of it the most unlucky thread was ready and had to wait.
        others_share: How much of the watched processors' time other processes used.
        stolen_share: How much of it a hypervisor gave to others.
    """

    wall_s: float
    cpu_share: float | None = None
    waiting_share: float | None = None
    others_share: float | None = None
    stolen_share: float | None = None
    voluntary_switches: int = 0
    involuntary_switches: int = 0
    num_runnable: tuple[int | None, int | None] = (None, None)
    load_average: tuple[float | None, float | None] = (None, None)
    governor: tuple[str | None, str | None] = (None, None)
    clock_mhz: tuple[float | None, float | None] = (None, None)
    temperature_c: tuple[float | None, float | None] = (None, None)

    def to_json(self) -> dict[str, Any]:
        """Return the conditions as JSON values; pairs are what was before and after."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Conditions":
        """Read what ``to_json`` wrote."""
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in document.items()
        }
        return cls(**fields)


@dataclass(frozen=True, kw_only=True, slots=True)
class TimingEvidence:
    """How a cost was timed; ``None`` where an older run did not keep it.

    Attributes:
        fingerprint: Of the machine that it was timed on.
        device: What users call that machine, unless it is the one that compiled.
        cpus: The processors that the timed threads kept to.
        conditions: What else went on there meanwhile.
        settings: How long and how often was timed.
        warmup_ms, is_steady: How long warming up took, and whether it ended in steady blocks.
        disturbed_share: How many of the rounds something slowed down.
    """

    fingerprint: Fingerprint = UNKNOWN_MACHINE
    device: str | None = None
    num_threads: int = 1
    cpus: tuple[int, ...] = ()
    conditions: Conditions | None = None
    settings: TimingSettings | None = None
    warmup_ms: float | None = None
    is_steady: bool | None = None
    disturbed_share: float | None = None

    def to_json(self) -> dict[str, Any]:
        conditions, settings = self.conditions, self.settings
        return {
            **self.fingerprint.to_json(),
            "fingerprint": self.fingerprint.key,
            **({} if self.device is None else {"device": self.device}),
            "num_threads": self.num_threads,
            "cpus": list(self.cpus),
            "load_average": None if conditions is None else conditions.load_average[0],
            "conditions": None if conditions is None else conditions.to_json(),
            "timing": None if settings is None else asdict(settings),
            "warmup_ms": self.warmup_ms,
            "is_steady": self.is_steady,
            "disturbed_share": self.disturbed_share,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote, or what an older run kept of the same."""
        conditions, settings = document.get("conditions"), document.get("timing")
        named = ("device", "warmup_ms", "is_steady", "disturbed_share")
        facts = {one.name: document.get(one.name) for one in fields(Fingerprint)}
        return cls(
            fingerprint=Fingerprint.from_json(facts),
            num_threads=document.get("num_threads", 1),
            cpus=tuple(document.get("cpus", ())),
            conditions=None if conditions is None else Conditions.from_json(conditions),
            settings=None if settings is None else TimingSettings(**settings),
            **{name: document.get(name) for name in named},
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictionEvidence(PlainRecord):
    """What predicted a cost, and whether the network was ever run.

    Attributes:
        prediction: How, in words.
        num_kernels: How many kernels are called, one after the other.
        peak_gflops, memory_gb_per_s: Of one core of the target, from its table.
        executed: Whether the compiled network was run once for its answer.
        emulator: What ran it; ``None`` where it runs here as it is, or nowhere.
    """

    prediction: str
    num_kernels: int
    num_threads: int = 1
    peak_gflops: float
    memory_gb_per_s: float
    executed: bool = False
    emulator: str | None = None


Evidence = TimingEvidence | PredictionEvidence


def read_evidence(document: Mapping[str, Any]) -> Evidence | None:
    """Read the evidence of a cost; ``None`` where it has none."""
    if "prediction" in document:
        return PredictionEvidence.from_json(document)
    return TimingEvidence.from_json(document) if document else None
