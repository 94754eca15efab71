"""What a finished run is worth, on classes that nothing before it has seen.

Accuracies are those of CMP-NAS (Duggal et al., CVPR 2021): M(q, q), M(q, g) and the paragon
M(g, g); a query network is compatible when M(q, g) > M(q, q). Costs come twice: multiply-
accumulates, which are counted, and latencies, which are measured or, without a device, predicted.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_cost_models.base import Cost
from cmpc_cost_models.counted import count_network
from cmpc_search.stages.accuracy import accuracies, accuracy
from cmpc_search.stages.inputs import Inputs
from cmpc_search.stages.picks import TrainedPick
from cmpc_search.stages.scoring import Meter
from cmpc_search.study.records import Accuracy

__all__ = ["Evaluation", "NetworkCost", "PickAccuracy", "amortised_macs", "evaluate"]

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
class PickAccuracy:
    """How one trained query network retrieves."""

    seed: int
    homogeneous: Accuracy
    heterogeneous: Accuracy

    @property
    def is_compatible(self) -> bool:
        """Whether M(q, g) > M(q, q) holds in top-1, the rule of CMP-NAS."""
        return self.heterogeneous.top1 > self.homogeneous.top1


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Everything that `cmpc evaluate` found.

    Attributes:
        chance_top1: Top-1 of a network that ranks the gallery at random.
    """

    num_classes: int
    num_queries: int
    num_gallery: int
    chance_top1: float
    paragon: Accuracy
    picks: tuple[PickAccuracy, ...]
    control: PickAccuracy | None
    query_cost: NetworkCost
    gallery_cost: NetworkCost | None

    @property
    def kept_share(self) -> float | None:
        """Mean M(q, g) top-1 over the paragon's; None where the paragon finds nothing."""
        if self.paragon.top1 == 0:
            return None
        return self.mean_top1("heterogeneous") / self.paragon.top1

    @property
    def macs_ratio(self) -> float | None:
        if self.gallery_cost is None:
            return None
        return self.gallery_cost.macs / self.query_cost.macs

    @property
    def latency_ratio(self) -> float | None:
        if self.gallery_cost is None or not (self.gallery_cost.latency and self.query_cost.latency):
            return None
        return self.gallery_cost.latency.value / self.query_cost.latency.value

    @property
    def is_compatible(self) -> bool:
        """Whether the rule holds for every seed."""
        return all(pick.is_compatible for pick in self.picks)

    def mean_top1(self, side: str) -> float:
        """Return the mean over seeds; ``side`` is homogeneous or heterogeneous."""
        return fmean(getattr(pick, side).top1 for pick in self.picks)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values, what follows from it included."""
        return asdict(self) | {
            "kept_share": self.kept_share,
            "is_compatible": self.is_compatible,
            "macs_ratio": self.macs_ratio,
            "latency_ratio": self.latency_ratio,
        }


def amortised_macs(query_macs: int, gallery_macs: int, queries_per_gallery_image: float) -> float:
    """Return the mean MACs of an image when queries and gallery are embedded together.

    ``(F_g + r F_q) / (1 + r)``: the curve of figure 3 on the poster of CMP-NAS (CVPR 2021).
    """
    ratio = queries_per_gallery_image
    return (gallery_macs + ratio * query_macs) / (1 + ratio)


def evaluate(
    inputs: Inputs,
    picks: Sequence[TrainedPick],
    control: TrainedPick | None,
    meter: Meter | None,
) -> Evaluation:
    """Evaluate ``picks`` on the test classes; the first one's latency is measured.

    All picks are one architecture, so they cost the same.
    """
    image_set = inputs.image_set
    queries = image_set.select(split=SPLIT, role="query")
    gallery = image_set.select(split=SPLIT, role="gallery")
    rows = inputs.gallery_rows
    gallery_path = inputs.gallery.onnx_path
    return Evaluation(
        num_classes=image_set.counts()[SPLIT].num_classes,
        num_queries=len(queries),
        num_gallery=len(gallery),
        chance_top1=_chance(image_set.labels[queries], image_set.labels[gallery]),
        paragon=accuracy(image_set, SPLIT, rows[queries], rows[gallery]),
        picks=tuple(_accuracy_of(pick, inputs) for pick in picks),
        control=None if control is None else _accuracy_of(control, inputs),
        query_cost=_cost_of(picks[0].onnx_path, meter),
        gallery_cost=None if gallery_path is None else _cost_of(gallery_path, meter),
    )


def _chance(query_labels: npt.NDArray[np.int64], gallery_labels: npt.NDArray[np.int64]) -> float:
    """Return the mean share of the gallery that is of a query's class."""
    num_items = np.bincount(gallery_labels, minlength=int(query_labels.max()) + 1)
    return float(num_items[query_labels].mean() / len(gallery_labels))


def _accuracy_of(pick: TrainedPick, inputs: Inputs) -> PickAccuracy:
    network = pick.load(inputs)
    own, across = accuracies(network, inputs.image_set, SPLIT, inputs.gallery_rows)
    return PickAccuracy(seed=pick.seed, homogeneous=own, heterogeneous=across)


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
