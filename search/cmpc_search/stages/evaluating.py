"""Judge the trained pick of a run on the test classes: an order in, the evaluation out."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from cmpc_base.progress import SILENT, Observer
from cmpc_cost_models.models.base import CostModel
from cmpc_search.runs import RunFolder, reopen_run
from cmpc_search.runs.evaluation import Evaluation
from cmpc_search.stages.evaluation import JudgingOptions, evaluate_run
from cmpc_search.stages.material import SearchMaterial, load_run_material, target_of
from cmpc_search.stages.measuring import device_costs

__all__ = ["EvaluationOrder", "run_evaluation"]

OPEN_SET = JudgingOptions()


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationOrder:
    """Which run to judge, how, and where its parts are.

    Attributes:
        judged: How to judge it.
        gallery_folder, data: Where they are now; None is where the search read them.
        device: Where networks are timed; None is the device of the search.
    """

    run_folder: Path
    cache_dir: Path
    judged: JudgingOptions = OPEN_SET
    gallery_folder: Path | None = None
    data: str | None = None
    device: str | None = None


def run_evaluation(
    order: EvaluationOrder, cost_model: CostModel | None = None, observer: Observer = SILENT
) -> Evaluation:
    """Judge a run, and keep what was found in it.

    Args:
        cost_model: Tells the latencies. Without it the device does, if the search needed one.

    Raises:
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
    with _costs(run, material, order, cost_model, observer) as costs:
        return evaluate_run(run, material, order.judged, costs)


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
