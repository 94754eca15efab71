"""What a finished run is worth, on the test classes.

Accuracies are those of CMP-NAS (Duggal et al., CVPR 2021): M(q, q), M(q, g) and the paragon
M(g, g), each with the interval that the paired bootstrap over queries gives it. The rule of
CMP-NAS, M(q, g) > M(q, q), is judged by the interval of the difference, which may leave it open.
Costs come twice: multiply-accumulates, which are counted, and latencies, which are measured or,
without a device, predicted.

A pick is judged as it ships: with the batch-norm statistics that ran along while it was trained on
augmented views, some of them of two images. Candidates of the search are judged with statistics
rebuilt on clean training images, so the two numbers of one architecture differ for that reason too.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_cost_models.graphs.counting import count_network
from cmpc_cost_models.records import Cost
from cmpc_kernels import QueryRanks
from cmpc_search.data import ImageSet
from cmpc_search.errors import BadRun
from cmpc_search.evaluation.judgement import Judgement, PairAccuracy, judge, judge_pair
from cmpc_search.evaluation.outcomes import SeedRanks
from cmpc_search.runs import RunFolder
from cmpc_search.stages.accuracy import rank_both_ways, rank_queries
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.stages.picks import TrainedPick
from cmpc_search.stages.scoring import Meter
from cmpc_search.stages.seeds import parts_of
from cmpc_search.stages.seen_classes import SeenClasses

__all__ = [
    "Evaluation",
    "NetworkCost",
    "ScoredQueries",
    "amortised_macs",
    "evaluate",
    "rank_seeds",
    "scored_names",
]

SPLIT = "test"


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
    latency: Cost | None
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
class Evaluation:
    """Everything that `cmpc evaluate` found.

    Attributes:
        seen_classes: What the networks knew of the test classes.
        chance_check: M(q, g) of the control, which must be near chance; no baseline.
    """

    seen_classes: SeenClasses
    queries: ScoredQueries
    judgement: Judgement
    chance_check: PairAccuracy | None
    query_cost: NetworkCost
    gallery_cost: NetworkCost | None

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

    def amortised_macs(self, queries_per_gallery_image: float) -> float | None:
        """Return the mean MACs of an image of either side; None without a gallery network."""
        if self.gallery_cost is None:
            return None
        return amortised_macs(
            self.query_cost.macs, self.gallery_cost.macs, queries_per_gallery_image
        )

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values, what follows from it included."""
        judged = asdict(self.judgement)
        return {
            "test_classes": self.seen_classes.value,
            **asdict(self.queries),
            "picks": judged.pop("seeds"),
            **judged,
            "is_compatible": self.judgement.rule,
            "chance_check": None if self.chance_check is None else asdict(self.chance_check),
            "query_cost": asdict(self.query_cost),
            "gallery_cost": None if self.gallery_cost is None else asdict(self.gallery_cost),
            "macs_ratio": self.macs_ratio,
            "latency_ratio": self.latency_ratio,
        }


def amortised_macs(query_macs: int, gallery_macs: int, queries_per_gallery_image: float) -> float:
    """Return the mean MACs of an image when queries and gallery are embedded together.

    ``(F_g + r F_q) / (1 + r)``: the curve of figure 3 on the poster of CMP-NAS (CVPR 2021).
    """
    ratio = queries_per_gallery_image
    return (gallery_macs + ratio * query_macs) / (1 + ratio)


def rank_seeds(
    run: RunFolder, material: SearchMaterial, picks: Sequence[TrainedPick]
) -> tuple[SeedRanks, ...]:
    """Return how each trained network ranks the test split, and its gallery network with it.

    Raises:
        BadRun: a pick was trained to fit another gallery network than the one that is there.
    """
    return tuple(_ranks_of(pick, _material_of(run, material, pick)) for pick in picks)


def evaluate(
    material: SearchMaterial,
    ranked: Sequence[SeedRanks],
    trained: TrainedPick,
    control: TrainedPick | None,
    meter: Meter | None,
) -> Evaluation:
    """Evaluate a run on its test split.

    Args:
        material: Those of the search.
        ranked: What `rank_seeds` gave.
        trained: One of the trained picks; all are one architecture and cost the same.
    """
    gallery_path = material.gallery.onnx_path
    return Evaluation(
        seen_classes=material.seen_classes,
        queries=_queries_of(material.image_set, ranked[0].paragon),
        judgement=judge(ranked),
        chance_check=None if control is None else _across(control, material),
        query_cost=_cost_of(trained.onnx_path, meter),
        gallery_cost=None if gallery_path is None else _cost_of(gallery_path, meter),
    )


def scored_names(image_set: ImageSet, ranks: QueryRanks) -> tuple[str, ...]:
    """Return the item names of the queries that were ranked."""
    queries = image_set.select(split=SPLIT, role="query")
    return tuple(image_set.item_names[position] for position in queries[ranks.query_ids])


def _material_of(run: RunFolder, material: SearchMaterial, pick: TrainedPick) -> SearchMaterial:
    """Return the material with the gallery network that a pick was trained to fit."""
    own = parts_of(run, material, pick.seed_of_parts).material
    if own.gallery.network_sha256 != pick.gallery_network_sha256:
        raise BadRun(
            f"{pick.folder} must be judged beside the gallery network that it was trained to fit "
            f"({pick.gallery_network_sha256}), got {own.gallery.network_sha256} in "
            f"{own.gallery.path}; run `cmpc train` again"
        )
    return own


def _ranks_of(pick: TrainedPick, material: SearchMaterial) -> SeedRanks:
    image_set, rows = material.image_set, material.gallery_rows
    queries = image_set.select(split=SPLIT, role="query")
    gallery = image_set.select(split=SPLIT, role="gallery")
    both = rank_both_ways(pick.load(material), image_set, SPLIT, rows)
    return SeedRanks(
        seed=pick.seed,
        paragon=rank_queries(
            image_set, SPLIT, query_rows=rows[queries], gallery_rows=rows[gallery]
        ),
        homogeneous=both.homogeneous,
        heterogeneous=both.heterogeneous,
    )


def _across(control: TrainedPick, material: SearchMaterial) -> PairAccuracy:
    """Return M(q, g) of a network that was trained without the gallery."""
    both = rank_both_ways(control.load(material), material.image_set, SPLIT, material.gallery_rows)
    return judge_pair(both.heterogeneous)


def _queries_of(image_set: ImageSet, ranks: QueryRanks) -> ScoredQueries:
    asked = image_set.labels[image_set.select(split=SPLIT, role="query")]
    gallery = image_set.labels[image_set.select(split=SPLIT, role="gallery")]
    scored = asked[ranks.query_ids]
    num_classes = len(np.unique(scored))
    return ScoredQueries(
        num_classes=num_classes,
        num_queries=len(scored),
        num_gallery=len(gallery),
        num_excluded_classes=len(np.unique(asked)) - num_classes,
        num_excluded=ranks.num_excluded,
        chance_top1=_chance(scored, gallery),
    )


def _chance(query_labels: npt.NDArray[np.int64], gallery_labels: npt.NDArray[np.int64]) -> float:
    """Return the mean share of the gallery that is of a query's class."""
    num_items = np.bincount(gallery_labels, minlength=int(query_labels.max()) + 1)
    return float(num_items[query_labels].mean() / len(gallery_labels))


def _cost_of(onnx_path: Path, meter: Meter | None) -> NetworkCost:
    counted = count_network(onnx_path)
    measurement = None if meter is None else meter.measure(onnx_path)
    return NetworkCost(
        macs=counted.macs,
        parameters=counted.parameters,
        latency=None if measurement is None else measurement.cost,
        unstable_reasons=() if measurement is None else tuple(measurement.unstable_reasons),
        unknown_reasons=() if measurement is None else measurement.unknown_reasons,
        error=None if measurement is None else measurement.error,
    )
