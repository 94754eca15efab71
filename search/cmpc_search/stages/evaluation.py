"""What a finished run is worth, on the test classes.

Accuracies are those of CMP-NAS (Duggal et al., CVPR 2021): M(q, q), M(q, g) and the paragon
M(g, g), each with the interval that the paired bootstrap over queries gives it. The rule of
CMP-NAS, M(q, g) > M(q, q), is judged by the interval of the difference, which may leave it open.

A pick is judged as it ships: with the batch-norm statistics that ran along while it was trained on
augmented views, some of them of two images. Candidates of the search are judged with statistics
rebuilt on clean training images, so the two numbers of one architecture differ for that reason too.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmpc_base.printable import printable
from cmpc_cost_models.models.base import CostModel
from cmpc_kernels import QueryRanks
from cmpc_search.data import ImageSet
from cmpc_search.errors import BadRun
from cmpc_search.evaluation.base import Protocol
from cmpc_search.evaluation.catalogue import PROTOCOLS
from cmpc_search.evaluation.judgement import PairAccuracy, judge, judge_pair
from cmpc_search.evaluation.outcomes import SeedResult, write_outcomes
from cmpc_search.runs import RunFolder
from cmpc_search.runs.evaluation import (
    Amortised,
    Evaluation,
    NetworkCost,
    ScoredQueries,
    SeedMetrics,
    write_evaluation,
)
from cmpc_search.stages.accuracy import OPEN_SET, Side, evaluate_both_ways
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.stages.network_costs import network_cost
from cmpc_search.stages.picks import TrainedPick, control_of, picked_architecture, trained_picks
from cmpc_search.stages.seeds import parts_of

__all__ = [
    "JudgingOptions",
    "amortised_macs",
    "evaluate_run",
    "results_of_seeds",
    "scored_names",
]

SPLIT = "test"

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgingOptions:
    """How to judge a run.

    Attributes:
        protocol: A name in `cmpc_search.evaluation.catalogue.PROTOCOLS`.
        new_galleries: Judge the seeds that were trained with it, each beside a gallery network of
            its own.
        queries_per_gallery_image: How often a gallery image is paid for by queries.
    """

    protocol: str = "open-set"
    new_galleries: bool = False
    queries_per_gallery_image: float = 10.0


def evaluate_run(
    run: RunFolder, material: SearchMaterial, order: JudgingOptions, meter: CostModel | None
) -> Evaluation:
    """Judge the trained picks of a run; keep evaluation.json, and evaluation.npz of each query.

    ``material`` are those of the search. Without a ``meter``, no latency is told.

    Raises:
        BadRun: a pick was trained to fit another gallery network than the one that is there.
        UnknownName: there is no such protocol.
    """
    protocol = PROTOCOLS.load(order.protocol)()
    architecture = picked_architecture(run)
    picks = trained_picks(run, architecture, new_galleries=order.new_galleries)
    control = control_of(run, architecture)
    results = results_of_seeds(run, material, picks, protocol)
    ranks = results[0].paragon.ranks  # all seeds are asked the same
    # All picks are one architecture, and cost the same.
    query_cost = network_cost(picks[0].onnx_path, meter, kept_in=run.compiled_path)
    gallery_path = material.gallery.onnx_path
    gallery_cost = None if gallery_path is None else network_cost(gallery_path, meter)
    found = Evaluation(
        run=printable(run.path),
        architecture=architecture.key,
        seen_classes=material.seen_classes,
        queries=_queries_of(material.image_set, ranks),
        judgement=judge(results),
        chance_check=None if control is None else _across(control, material),
        query_cost=query_cost,
        gallery_cost=gallery_cost,
        amortised=_amortised(query_cost, gallery_cost, order.queries_per_gallery_image),
        protocol=order.protocol,
        metrics=tuple(map(_metrics_of, results)),
    )
    write_outcomes(run.outcomes_path, scored_names(material.image_set, ranks), results)
    write_evaluation(run, found)
    return found


def amortised_macs(query_macs: int, gallery_macs: int, queries_per_gallery_image: float) -> float:
    """Return the mean MACs of an image when queries and gallery are embedded together.

    ``(F_g + r F_q) / (1 + r)``: the curve of figure 3 on the poster of CMP-NAS (CVPR 2021).
    """
    ratio = queries_per_gallery_image
    return (gallery_macs + ratio * query_macs) / (1 + ratio)


def results_of_seeds(
    run: RunFolder,
    material: SearchMaterial,
    picks: Sequence[TrainedPick],
    protocol: Protocol = OPEN_SET,
) -> tuple[SeedResult, ...]:
    """Return what each trained network finds in the test split, and its gallery network with it.

    Raises:
        BadRun: a pick was trained to fit another gallery network than the one that is there.
    """
    return tuple(_result_of(pick, _material_of(run, material, pick), protocol) for pick in picks)


def scored_names(image_set: ImageSet, ranks: QueryRanks) -> tuple[str, ...]:
    """Return the item names of the queries that were ranked."""
    queries = image_set.select(split=SPLIT, role="query")
    return tuple(image_set.item_names[position] for position in queries[ranks.query_ids])


def _amortised(
    query: NetworkCost, gallery: NetworkCost | None, queries_per_gallery_image: float
) -> Amortised | None:
    if gallery is None:
        return None
    macs = amortised_macs(query.macs, gallery.macs, queries_per_gallery_image)
    return Amortised(queries_per_gallery_image=queries_per_gallery_image, macs=macs)


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


def _result_of(pick: TrainedPick, material: SearchMaterial, protocol: Protocol) -> SeedResult:
    image_set, rows = material.image_set, material.gallery_rows
    both = evaluate_both_ways(pick.load(material), image_set, SPLIT, rows, protocol)
    sides = (Side(image_set, SPLIT, role).chosen_from(rows) for role in ("query", "gallery"))
    return SeedResult(
        seed=pick.seed,
        paragon=protocol.evaluate(*sides),
        homogeneous=both.homogeneous,
        heterogeneous=both.heterogeneous,
    )


def _metrics_of(result: SeedResult) -> SeedMetrics:
    return SeedMetrics(
        seed=result.seed,
        paragon=result.paragon.metrics,
        homogeneous=result.homogeneous.metrics,
        heterogeneous=result.heterogeneous.metrics,
    )


def _across(control: TrainedPick, material: SearchMaterial) -> PairAccuracy:
    """Return M(q, g) of a network that was trained without the gallery."""
    both = evaluate_both_ways(
        control.load(material), material.image_set, SPLIT, material.gallery_rows
    )
    return judge_pair(both.heterogeneous.ranks)


def _queries_of(image_set: ImageSet, ranks: QueryRanks) -> ScoredQueries:
    asked = image_set.select(split=SPLIT, role="query")
    gallery = image_set.select(split=SPLIT, role="gallery")
    scored = asked[ranks.query_ids]
    num_classes = len(np.unique(image_set.labels[scored]))
    return ScoredQueries(
        num_classes=num_classes,
        num_queries=len(scored),
        num_gallery=len(gallery),
        num_excluded_classes=len(np.unique(image_set.labels[asked])) - num_classes,
        num_excluded=ranks.num_excluded,
        chance_top1=_chance(image_set, scored, gallery),
    )


def _chance(image_set: ImageSet, queries: Positions, gallery: Positions) -> float:
    """Return the mean share of the items that count for a query which are of its class."""
    labels = image_set.labels
    num_right = np.bincount(labels[gallery], minlength=image_set.num_classes)[labels[queries]]
    if image_set.groups is None:
        return float(num_right.mean() / len(gallery))
    num_ignored = _num_of_own_group(image_set, queries, gallery)
    return float(((num_right - num_ignored) / (len(gallery) - num_ignored)).mean())


def _num_of_own_group(image_set: ImageSet, queries: Positions, gallery: Positions) -> Positions:
    """Return for each query how many items of its class are of its group too."""

    def pairs(positions: Positions) -> list[tuple[int, str]]:
        groups = image_set.groups_of(positions) or ()
        return list(zip(image_set.labels[positions].tolist(), groups, strict=True))

    num_items = Counter(pairs(gallery))
    return np.array([num_items[pair] for pair in pairs(queries)], np.int64)
