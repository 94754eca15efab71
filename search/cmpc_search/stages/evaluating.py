"""What a finished run is worth, on the test classes: an order in, the evaluation out.

Accuracies are those of CMP-NAS (Duggal et al., CVPR 2021): M(q, q), M(q, g) and the paragon
M(g, g), each with the interval that the paired bootstrap over queries gives it. The rule of
CMP-NAS, M(q, g) > M(q, q), is judged by the interval of the difference, which may leave it open.

A pick is judged as it ships: with the batch-norm statistics that were rebuilt on clean training
images, as candidates of the search are judged too.
"""

import hashlib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from cmpc_base.hashing import document_hash, file_hash
from cmpc_base.printable import printable
from cmpc_base.progress import SILENT, Observer
from cmpc_cost_models.models.base import CostModel
from cmpc_search.data import ImageSet
from cmpc_search.errors import BadArgument, BadRun
from cmpc_search.evaluation.base import Protocol
from cmpc_search.evaluation.catalogue import PROTOCOLS
from cmpc_search.evaluation.judgement import PairAccuracy, judge, judge_pair
from cmpc_search.evaluation.outcomes import SeedResult, write_outcomes
from cmpc_search.evaluation.templates import Templates
from cmpc_search.runs import RunFolder, reopen_run
from cmpc_search.runs.evaluation import (
    Amortised,
    Evaluation,
    NetworkCost,
    SeedMetrics,
    read_evaluation,
    write_evaluation,
)
from cmpc_search.stages.accuracy import evaluate_both_ways
from cmpc_search.stages.costs import device_costs, network_cost
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.stages.other_data import on_other_data
from cmpc_search.stages.run_material import load_run_material, target_of
from cmpc_search.stages.scored_queries import SPLIT, scored_names, scored_queries
from cmpc_search.stages.seed_results import results_of_seeds
from cmpc_search.stages.template_judging import template_items
from cmpc_search.stages.trained_picks import (
    TrainedPick,
    control_of,
    picked_architecture,
    trained_picks,
)

__all__ = [
    "EvaluationOrder",
    "amortised_macs",
    "evaluate_run",
    "run_evaluation",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationOrder:
    """Which run to judge, how, and where its parts are.

    Attributes:
        protocol: A name in `cmpc_search.evaluation.catalogue.PROTOCOLS`.
        new_galleries: Judge the seeds that were trained with it, each beside a gallery network of
            its own.
        queries_per_gallery_image: How often a gallery image is paid for by queries.
        gallery_folder, data: Where they are now; None is where the search read them.
        other_data: Judge on the test classes of this data set, in place of the run's own.
        device: Where networks are timed; None is the device of the search.
        keeps_found: Judge and time nothing again where all of this was, as it is now.
    """

    run_folder: Path
    cache_dir: Path
    protocol: str = "open-set"
    new_galleries: bool = False
    queries_per_gallery_image: float = 10.0
    gallery_folder: Path | None = None
    data: str | None = None
    other_data: str | None = None
    device: str | None = None
    keeps_found: bool = False


def run_evaluation(
    order: EvaluationOrder, cost_model: CostModel | None = None, observer: Observer = SILENT
) -> Evaluation:
    """Judge a run, and keep what was found in it.

    Args:
        cost_model: Tells the latencies. Without it the device does, if the search needed one.

    Raises:
        BadArgument: other data are named, and new galleries are to be judged.
        BadGallery: other data are named, and there is no gallery network to embed them.
        BadRun: no pick is trained, or data or gallery are not those of the search.
        DeviceUnreachable: the device does not answer.
        UnknownName: there is no such protocol.
    """
    run = reopen_run(order.run_folder)
    material = load_run_material(
        run,
        cache_dir=order.cache_dir,
        gallery_path=order.gallery_folder,
        data=order.data,
        on_notice=observer.notice,
    )
    if order.other_data is not None:
        if order.new_galleries:
            raise BadArgument("other data are judged beside the run's own gallery network alone")
        material = on_other_data(material, order.other_data, observer)
    inputs = _inputs_hash(run, material, order)
    if order.keeps_found and (found := _found(_kept_in(run, material), inputs)) is not None:
        return found
    with _costs(run, material, order, cost_model, observer) as costs:
        return evaluate_run(run, material, order, costs, inputs_sha256=inputs)


def evaluate_run(
    run: RunFolder,
    material: SearchMaterial,
    order: EvaluationOrder,
    meter: CostModel | None,
    inputs_sha256: str | None = None,
) -> Evaluation:
    """Judge the trained picks of a run; keep evaluation.json, and evaluation.npz of each query.

    ``material`` are those of the search, or that `on_other_data`: then both files are apart from
    the run's own. Without a ``meter``, no latency is told.

    Raises:
        BadRun: a pick was trained to fit another gallery network than the one that is there.
        UnknownName: there is no such protocol.
    """
    protocol = PROTOCOLS.load(order.protocol)()
    architecture = picked_architecture(run)
    picks = trained_picks(run, architecture, new_galleries=order.new_galleries)
    asked = _asked(material, protocol)
    # The control is asked by images: what templates find says nothing of its chance.
    control = control_of(run, architecture) if asked is material.image_set else None
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
        queries=scored_queries(asked, ranks),
        judgement=judge(results),
        chance_check=None if control is None else _across(control, material),
        query_cost=query_cost,
        gallery_cost=gallery_cost,
        amortised=_amortised(query_cost, gallery_cost, order.queries_per_gallery_image),
        protocol=order.protocol,
        metrics=tuple(map(_metrics_of, results)),
        inputs_sha256=inputs_sha256,
        other_data=material.other_data,
    )
    kept = _kept_in(run, material)
    kept.path.mkdir(parents=True, exist_ok=True)
    write_outcomes(kept.outcomes_path, scored_names(asked, ranks), results)
    write_evaluation(kept, found)
    return found


def amortised_macs(query_macs: int, gallery_macs: int, queries_per_gallery_image: float) -> float:
    """Return the mean MACs of an image when queries and gallery are embedded together.

    ``(F_g + r F_q) / (1 + r)``: the curve of figure 3 on the poster of CMP-NAS (CVPR 2021).
    """
    ratio = queries_per_gallery_image
    return (gallery_macs + ratio * query_macs) / (1 + ratio)


def _kept_in(run: RunFolder, material: SearchMaterial) -> RunFolder:
    """Return whose files hold what is found: the run's own, or those of other data."""
    other = material.other_data
    return run if other is None else run.on_other_data(other.name, other.sha256)


def _found(run: RunFolder, inputs_sha256: str) -> Evaluation | None:
    """Return the evaluation that is kept, if it is of these very networks, data and order."""
    try:
        kept = read_evaluation(run)
    except BadRun:  # of another version
        return None
    is_same = kept is not None and kept.inputs_sha256 == inputs_sha256
    return kept if is_same and run.outcomes_path.exists() else None


def _inputs_hash(run: RunFolder, material: SearchMaterial, order: EvaluationOrder) -> str:
    """Return the hash of all that an evaluation is of, where it is timed included."""
    settings, architecture = material.settings, picked_architecture(run)
    picks = trained_picks(run, architecture, new_galleries=order.new_galleries)
    control = control_of(run, architecture)
    networks = [*picks, *([] if control is None else [control])]
    return document_hash(
        [
            {one.folder.name: file_hash(one.weights_path) for one in networks},
            material.hashes(),
            hashlib.sha256(material.gallery_rows.tobytes()).hexdigest(),
            [order.protocol, order.queries_per_gallery_image],
            [order.device or settings.device, settings.target, settings.needs_latency],
        ]
    )


def _costs(
    run: RunFolder,
    material: SearchMaterial,
    order: EvaluationOrder,
    cost_model: CostModel | None,
    observer: Observer,
) -> AbstractContextManager[CostModel | None]:
    settings = material.settings
    if cost_model is not None or not settings.needs_latency:
        return nullcontext(cost_model)
    name = order.device or settings.device
    return device_costs(target_of(run), name, cache_dir=order.cache_dir, observer=observer)


def _amortised(
    query: NetworkCost, gallery: NetworkCost | None, queries_per_gallery_image: float
) -> Amortised | None:
    if gallery is None:
        return None
    macs = amortised_macs(query.macs, gallery.macs, queries_per_gallery_image)
    return Amortised(queries_per_gallery_image=queries_per_gallery_image, macs=macs)


def _asked(material: SearchMaterial, protocol: Protocol) -> ImageSet:
    """Return the set whose queries were ranked: images, or templates as one image each."""
    if isinstance(protocol, Templates) and material.templates is not None:
        return template_items(material.image_set, material.templates)
    return material.image_set


def _metrics_of(result: SeedResult) -> SeedMetrics:
    return SeedMetrics(
        seed=result.seed,
        paragon=result.paragon.metrics,
        homogeneous=result.homogeneous.metrics,
        heterogeneous=result.heterogeneous.metrics,
    )


def _across(control: TrainedPick, material: SearchMaterial) -> PairAccuracy:
    """Return M(q, g) of a network that was trained without the gallery."""
    network = control.load(material)
    image_set = material.images_at(network.plan.image.size_px)
    both = evaluate_both_ways(network, image_set, SPLIT, material.gallery_rows)
    return judge_pair(both.heterogeneous.ranks)
