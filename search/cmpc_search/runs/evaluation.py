"""What a run was found to be worth, as evaluation.json keeps it: written here, and read back here.

Accuracies are those of CMP-NAS (Duggal et al., CVPR 2021): M(q, q), M(q, g) and the paragon
M(g, g). Costs come twice: multiply-accumulates, which are counted, and latencies, which are
measured or, without a device, predicted.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, TypeAdapter

from cmpc_base.json_files import read_json, write_json
from cmpc_cost_models.records import Cost
from cmpc_search.errors import BadRun
from cmpc_search.evaluation.judgement import Judgement, PairAccuracy
from cmpc_search.json_records import parsed_record
from cmpc_search.runs.folder import RunFolder

__all__ = [
    "Amortised",
    "Evaluation",
    "NetworkCost",
    "OtherData",
    "ScoredQueries",
    "SeedMetrics",
    "SeenClasses",
    "read_evaluation",
    "write_evaluation",
]

SCHEMA_VERSION = 2
"""Since 2 an accuracy has an interval, and only scored queries are counted."""


class SeenClasses(StrEnum):
    """What the networks of a run knew of its test classes."""

    UNSEEN = "unseen"
    """Neither the gallery network nor any query network was trained on one of them."""
    CLOSED_SET = "closed set"
    """The data have classes in several splits on purpose: only the images are new."""
    SEEN_BY_GALLERY = "seen by the gallery network"
    """A network of the user's own, whose classifier names classes that test or validate."""
    UNKNOWN = "unknown"
    """The gallery network is the user's own, and nothing says what it was trained on."""
    SEEN_ELSEWHERE = "seen in other data"
    """Some test classes of another data set are among those that the networks were trained on."""


def _as_cost(stored: object) -> Cost:
    """Read a cost as its own package does, which knows those of older runs."""
    return stored if isinstance(stored, Cost) else Cost.from_json(stored)  # type: ignore[arg-type]


StoredCost = Annotated[Cost, PlainValidator(_as_cost), PlainSerializer(Cost.to_json)]


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkCost:
    """What one image costs on one side.

    Attributes:
        macs, parameters: Counted from the network's graph.
        latency: Measured or predicted, as it says; None where nothing was compiled.
        unstable_reasons: Why the latency may not be trusted; empty where it may.
        unknown_reasons: Why nobody can tell the latency.
        error: Why there is no latency although one was asked for.
    """

    macs: int
    parameters: int
    latency: StoredCost | None
    unstable_reasons: tuple[str, ...] = ()
    unknown_reasons: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredQueries:
    """Which queries were scored, and what answering at random would give.

    Attributes:
        num_classes, num_queries: Those with something to find: the scored ones.
        num_gallery: Images that are searched.
        num_excluded_classes, num_excluded: Those whose class has no gallery image in the split.
        chance_top1: Top-1 of a network that ranks the gallery at random.
    """

    num_classes: int
    num_queries: int
    num_gallery: int
    num_excluded_classes: int
    num_excluded: int
    chance_top1: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedMetrics:
    """The protocol's own numbers of one trained network, by their names."""

    seed: int
    paragon: Mapping[str, float]
    homogeneous: Mapping[str, float]
    heterogeneous: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Amortised:
    """The mean MACs of an image of either side, at so many queries for each gallery image."""

    queries_per_gallery_image: float
    macs: float


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherData:
    """A data set that a run was judged on without having been searched or trained on it.

    Attributes:
        seen_class_names: Its test classes that the run's networks were trained on elsewhere.
    """

    name: str
    sha256: str
    num_classes: int
    seen_class_names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Everything that `cmpc evaluate` found.

    Attributes:
        run: Where the run lay.
        architecture: The key of the pick.
        seen_classes: What the networks knew of the test classes.
        chance_check: M(q, g) of the control, which must be near chance; no baseline.
        amortised: None without a gallery network.
        protocol: The name of what judged, with its numbers in ``metrics``.
        inputs_sha256: Hash of networks, data and order that it is of; an older one doesn't tell.
        other_data: What all of it was found on; None for the data of the run itself.
    """

    run: str
    architecture: str
    seen_classes: SeenClasses
    queries: ScoredQueries
    judgement: Judgement
    chance_check: PairAccuracy | None
    query_cost: NetworkCost
    gallery_cost: NetworkCost | None
    amortised: Amortised | None = None
    protocol: str = "open-set"
    metrics: tuple[SeedMetrics, ...] = ()
    inputs_sha256: str | None = None
    other_data: OtherData | None = None

    @property
    def macs_ratio(self) -> float | None:
        if self.gallery_cost is None:
            return None
        return self.gallery_cost.macs / self.query_cost.macs

    @property
    def parameters_ratio(self) -> float | None:
        if self.gallery_cost is None:
            return None
        return self.gallery_cost.parameters / self.query_cost.parameters

    @property
    def latency_ratio(self) -> float | None:
        if self.gallery_cost is None or not (self.gallery_cost.latency and self.query_cost.latency):
            return None
        return self.gallery_cost.latency.value / self.query_cost.latency.value

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values, what follows from it included.

        An interval without an upper end has null there.
        """
        stored = json.loads(_EVALUATION.dump_json(self))
        judged = stored.pop("judgement")
        document = {
            "schema_version": SCHEMA_VERSION,
            "run": stored.pop("run"),
            "architecture": stored.pop("architecture"),
            "test_classes": stored.pop("seen_classes"),
            **stored.pop("queries"),
            "picks": judged.pop("seeds"),
            **judged,
            "is_compatible": self.judgement.rule,
            **stored,
            "macs_ratio": self.macs_ratio,
            "latency_ratio": self.latency_ratio,
        }
        optional = ("amortised", "other_data")
        return {name: value for name, value in document.items() if name not in optional or value}


_EVALUATION = TypeAdapter(Evaluation)


def write_evaluation(run: RunFolder, found: Evaluation) -> None:
    """Write evaluation.json."""
    write_json(run.evaluation_path, found.to_json())


def read_evaluation(run: RunFolder) -> Evaluation | None:
    """Return what `write_evaluation` stored; None where the run was not evaluated yet.

    Raises:
        BadRun: the file is damaged, or of another version.
    """
    path = run.evaluation_path
    if not path.exists():
        return None
    document = read_json(path, error=BadRun)
    if document.get("schema_version") != SCHEMA_VERSION:
        raise BadRun(
            f"{path} must hold an evaluation with schema_version {SCHEMA_VERSION}, got "
            f"{document.get('schema_version')}; run `cmpc evaluate {run.path}` again"
        )
    nested = document | {
        "seen_classes": document.get("test_classes"),
        "queries": document,
        "judgement": document | {"seeds": document.get("picks")},
    }
    return parsed_record(nested, Evaluation, path, error=BadRun)
