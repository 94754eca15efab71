"""How a pipeline reads: what each stage left as its own command tells it, and what all took."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from cmpc.output import make_table
from cmpc.reports.answers import answer_picture, answer_report, how_many_right
from cmpc.reports.base import Report
from cmpc.reports.bundle import bundle_report
from cmpc.reports.data_sets import passed_over_sentences, prepared_report
from cmpc.reports.evaluation import evaluation_report
from cmpc.reports.front import front_image, pick_sentence, search_report
from cmpc.reports.galleries import embedded_report, gallery_report
from cmpc.reports.index import built_report
from cmpc.reports.training import training_report
from cmpc_cost_models.bundles.opening import Bundle
from cmpc_search.gallery import Gallery
from cmpc_search.runs.evaluation import Evaluation
from cmpc_search.stages.gallery_making import EmbeddedGallery
from cmpc_search.stages.indexing import BuiltIndex
from cmpc_search.stages.pipeline_records import (
    AskedGallery,
    PipelineOrder,
    PreparedData,
    SearchedFront,
    StageResult,
)
from cmpc_search.stages.pipeline_times import Stage, StageTimes
from cmpc_search.stages.training import TrainResult

if TYPE_CHECKING:
    from PIL import Image
    from rich.table import Table

__all__ = ["PICTURES", "pipeline_report", "stage_picture", "stage_report"]


PICTURES = FRONT_PICTURE, QUERIES_PICTURE = "front.png", "queries.png"


def stage_report(order: PipelineOrder, found: StageResult) -> Report:
    """Tell of what a stage left, as its own command does."""
    match found.result:
        case PreparedData() as data:
            report = prepared_report(data.image_set, data.passed_over, data.seconds)
            passed_over = passed_over_sentences(data.passed_over)
            return replace(report, sentences=(*passed_over, *report.sentences))
        case SearchedFront() as searched:
            return _searched_report(searched)
        case AskedGallery() as asked:
            return answer_report(asked.order, asked.answers, _judgement(asked))
        case Gallery() as gallery:
            return gallery_report(gallery)
        case EmbeddedGallery() as embedded:
            return embedded_report(embedded)
        case TrainResult() as trained:
            return training_report(trained)
        case Evaluation() as evaluation:
            return evaluation_report(evaluation)
        case Bundle() as bundle:
            return bundle_report(bundle)
        case BuiltIndex() as built:
            return built_report(order.run.index_path, built)


def stage_picture(found: StageResult) -> "tuple[str, Image.Image] | None":
    """Return the picture of what a stage left, with its file's name, if it has one."""
    match found.result:
        case SearchedFront() as searched:
            one = searched.picked
            image = front_image(one.standing, one.picked, cost=one.cost, budget=one.budget)
            return FRONT_PICTURE, image
        case AskedGallery() as asked:
            return QUERIES_PICTURE, answer_picture(asked.answers, _judgement(asked))
    return None


def pipeline_report(
    order: PipelineOrder, told: Mapping[Stage, Report], times: StageTimes
) -> Report:
    """Tell what the stages took; for programs also what each left, by its name."""
    return Report(
        document={
            "run": order.run_folder,
            "stages": {stage: report.document for stage, report in told.items()},
            "times": asdict(times),
        },
        tables=(_times_table(times),),
        doubts=_of_stages({stage: report.doubts for stage, report in told.items()}),
        unknowns=_of_stages({stage: report.unknowns for stage, report in told.items()}),
    )


def _searched_report(found: SearchedFront) -> Report:
    """Show the front once, and say which candidate is the pick."""
    report, picked = search_report(found.search), found.picked
    sentence = pick_sentence(picked.picked, picked.proposed, picked.how)
    return replace(
        report,
        document={**report.document, "pick": picked.picked.number},
        sentences=(*report.sentences, sentence),
    )


def _judgement(found: AskedGallery) -> str:
    """Say how many of the drawn queries are right, and how many of all: eight may be lucky."""
    share = found.num_right / found.num_asked
    return (
        f"{how_many_right(found.answers)}; {share:.1%} of {found.num_asked} test queries do, among "
        f"{found.num_items} gallery items of all classes"
    )


def _of_stages(reasons: Mapping[Stage, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(f"{stage}: {reason}" for stage, told in reasons.items() for reason in told)


def _times_table(times: StageTimes) -> "Table":
    """Show where the time went, now and in all processes that worked on it."""
    in_all = sum(times.seconds_in_all.values())
    rows = [
        (stage, *_row(times.seconds[stage], times.seconds_in_all[stage], in_all)) for stage in Stage
    ]
    total = ("all", *_row(sum(times.seconds.values()), in_all, in_all))
    return make_table(("stage", "s now", "s in all", "share of all"), [*rows, total])


def _row(now_s: float, in_all_s: float, all_s: float) -> tuple[str, ...]:
    share = in_all_s / all_s if all_s else 0.0
    return f"{now_s:.1f}", f"{in_all_s:.1f}", f"{share:.0%}"
