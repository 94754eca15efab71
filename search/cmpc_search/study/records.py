"""What a search knows about one candidate, as values that survive a trip through JSON.

A `CandidateScore` is what scoring an architecture gives, good or bad: a candidate that would not
compile is a score with an ``error``, not an exception. A `Candidate` is a score with its place in
a study. Nothing here knows Optuna, torch or TVM, so reports and pictures can read runs cheaply.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from cmpc_search.errors import BadRun
from cmpc_search.json_records import first_complaint

__all__ = ["Accuracy", "Candidate", "CandidateScore", "TrainedScore"]

_REASONS = ("unstable_reasons", "unknown_reasons")


@dataclass(frozen=True, kw_only=True, slots=True)
class Accuracy:
    """How well one pair of networks retrieves, as shares from 0 to 1.

    Attributes:
        mean_reciprocal_rank: Of the first right item: 1 where it is the nearest, 1/2 where it is
            the second. None in runs of older versions, as the counts are.
        num_queries: How many queries the means run over, however many views each was asked in.
        num_excluded: How many others had nothing to find, since no gallery item is of their class.
        num_distractors: Gallery items of other classes that were searched beside those that can be
            found.
        num_views: Views that each query was asked in; their outcomes are averaged.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    top1: float
    top10: float
    mean_average_precision: float
    mean_reciprocal_rank: float | None = None
    num_queries: int | None = None
    num_excluded: int | None = None
    num_distractors: int | None = None
    num_views: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CandidateScore:
    """Everything that scoring one architecture found out.

    Attributes:
        architecture: The key of the architecture.
        homogeneous: M(q, q); None where the reward didn't need it.
        heterogeneous: M(q, g); None where scoring failed before it.
        cosine: Mean cosine to the gallery network's own embedding of the same query.
        reward_name, reward: What the study maximises.
        macs, parameters: Counted from the exported network.
        latency: A cost record as JSON: value, unit "ms", source, spread, artefact_sha256, ...
        unstable_reasons: Why the measured latency may not be trusted; empty where it may.
        unknown_reasons: Why nobody can tell its latency, although nothing is wrong with it.
        error: Why this candidate has no usable score, or None.
        seconds: Wall time that scoring took.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    architecture: str
    homogeneous: Accuracy | None = None
    heterogeneous: Accuracy | None = None
    cosine: float | None = None
    reward_name: str
    reward: float | None = None
    macs: int | None = None
    parameters: int | None = None
    latency: Mapping[str, Any] | None = None
    unstable_reasons: tuple[str, ...] = ()
    unknown_reasons: tuple[str, ...] = ()
    error: str | None = None
    seconds: float = 0.0

    @property
    def is_comparable(self) -> bool:
        """Whether it can be held against others: no error, and its costs are known."""
        return self.error is None and not self.unknown_reasons

    @property
    def latency_ms(self) -> float | None:
        """The latency's value, or None without a latency.

        Raises:
            BadRun: the latency is in another unit, or no number.
        """
        if self.latency is None:
            return None
        value, unit = self.latency.get("value"), self.latency.get("unit")
        if unit != "ms" or not isinstance(value, int | float):
            raise BadRun(
                "the latency of a candidate must be a number in 'ms', "
                f"got {value!r} in {unit!r} for {self.architecture}"
            )
        return float(value)

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values; `from_json` reads it back."""
        return asdict(self) | {name: list(getattr(self, name)) for name in _REASONS}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "CandidateScore":
        """Read what `to_json` wrote.

        Raises:
            BadRun: a field is missing, unknown or of another type.
        """
        try:
            return _SCORE.validate_python(document)
        except ValidationError as error:
            raise BadRun(
                "a candidate must be stored with the fields of this version: "
                f"{first_complaint(error)}"
            ) from error


_SCORE = TypeAdapter(CandidateScore)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedScore:
    """What a candidate is worth after a short training of its own, judged as all candidates are.

    Attributes:
        num_steps: How long it was trained, from its weights in the supernet.
        homogeneous, heterogeneous, cosine, reward: As in `CandidateScore`, of the trained network.
    """

    num_steps: int
    homogeneous: Accuracy
    heterogeneous: Accuracy
    cosine: float
    reward: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A score and the number of the trial that holds it.

    Attributes:
        score: What the search found out, with weights of the supernet.
        trained: What a training of its own made of it; None for all but the finalists.
    """

    number: int
    score: CandidateScore
    trained: TrainedScore | None = None
