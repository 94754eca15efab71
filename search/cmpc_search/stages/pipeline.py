"""The whole job: an order in, from pictures to a query network that answers out.

    data --> gallery network --> its embeddings -----------------------------> index -.
                  '--> views --> supernet --> search --> finalists --> pick            '--> queries
                                                 training --> evaluation --> bundle --'

Each stage is one of the front doors beside this one, which know what is done already: the same
order goes on where a process stopped, and does nothing twice.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from cmpc_base.progress import SILENT, Observer
from cmpc_cost_models.bundles.opening import Bundle
from cmpc_kernels import open_index
from cmpc_search.data.fetching import Fetcher
from cmpc_search.data.sources.catalogue import find_source
from cmpc_search.errors import BadRun
from cmpc_search.gallery import Gallery, open_gallery
from cmpc_search.gallery.shipped.packing import open_shipped, read_shipped
from cmpc_search.runs.evaluation import Evaluation, read_evaluation
from cmpc_search.stages.bundling import BundleOrder, build_bundle
from cmpc_search.stages.data_sets import prepare_data_set
from cmpc_search.stages.evaluating import EvaluationOrder, run_evaluation
from cmpc_search.stages.finals import FINALIST_PART, FRONT_PART
from cmpc_search.stages.gallery_making import (
    EmbeddedGallery,
    GalleryEmbedOrder,
    GalleryShippedOrder,
    GalleryTrainOrder,
    run_gallery_embedding,
    run_gallery_shipped,
    run_gallery_training,
)
from cmpc_search.stages.indexing import BuiltIndex, IndexOrder, run_indexing
from cmpc_search.stages.picking import PickOrder, run_pick
from cmpc_search.stages.pipeline_progress import PipelineObserver
from cmpc_search.stages.pipeline_records import (
    AnyResult,
    AskedGallery,
    PipelineOrder,
    PipelineResult,
    PreparedData,
    SearchedFront,
    StageResult,
)
from cmpc_search.stages.pipeline_times import (
    Stage,
    StageTimes,
    likely_seconds,
    read_times,
    write_times,
)
from cmpc_search.stages.querying import QueryOrder, run_query
from cmpc_search.stages.searching import (
    SUPERNET_PART,
    TRIALS_PART,
    SearchOrder,
    run_search,
)
from cmpc_search.stages.training import TrainOrder, TrainResult, run_training

__all__ = ["WORK", "run_pipeline"]

PARTS = {
    SUPERNET_PART: Stage.SUPERNET,
    TRIALS_PART: Stage.SEARCH,
    FINALIST_PART: Stage.FINALISTS,
    FRONT_PART: Stage.FINALISTS,
}
"""Stages that one front door, the search, goes through by itself: it begins with the views."""


def run_pipeline(
    order: PipelineOrder,
    observer: Observer = SILENT,
    on_result: Callable[[StageResult], None] = lambda _: None,
) -> PipelineResult:
    """Go through all stages; what is done already is found.

    Args:
        on_result: Given what a stage left as soon as it ends.

    Raises:
        BadRun: another process works on the search.
        CmpcError: whatever a stage raises; the observer is told which stage it was.
    """
    before = _times_before(order)
    stages = PipelineObserver(observer, _still_likely(order, before), PARTS)
    results = []
    try:
        for stage, work in WORK.items():
            stages.begin(Stage.VIEWS if stage is Stage.SEARCH else stage)
            found = StageResult(stage=stage, result=work(order, stages))
            results.append(found)
            on_result(found)
        stages.end()
    except BaseException:
        stages.stop()
        raise
    finally:
        times = _times_after(before, stages)
        if order.run.settings_path.exists():
            write_times(order.run, times)
    return PipelineResult(run=order.run, results=tuple(results), times=times)


def _prepared(order: PipelineOrder, observer: Observer) -> PreparedData:
    started_at = time.monotonic()
    image_set = prepare_data_set(
        order.data,
        size_px=order.search.search_space().largest_input_size_px,
        split_seed=order.gallery.split_seed,
        cache_dir=order.cache_dir,
        observer=observer,
    )
    passed_over = find_source(order.data, Fetcher(order.cache_dir)).passed_over()
    return PreparedData(
        image_set=image_set,
        passed_over=tuple(passed_over),
        seconds=time.monotonic() - started_at,
    )


def _gallery(order: PipelineOrder, observer: Observer) -> Gallery:
    folder, cache_dir = order.gallery_folder, order.cache_dir
    if order.gallery_network is None:
        observer.notice(f"{folder} is there already, and taken as it is")
        return open_gallery(folder)
    if order.gallery_network == "shipped":
        shipped = GalleryShippedOrder(folder=folder, data=order.gallery.data, cache_dir=cache_dir)
        return run_gallery_shipped(shipped, observer)
    trained = GalleryTrainOrder(folder=folder, settings=order.gallery, cache_dir=cache_dir)
    return run_gallery_training(trained, observer)


def _embedded(order: PipelineOrder, observer: Observer) -> EmbeddedGallery | Gallery:
    """Embed the data, unless the gallery is of ready embeddings and has no network."""
    gallery = open_gallery(order.gallery_folder)
    if not gallery.has_network:
        return gallery
    return run_gallery_embedding(
        GalleryEmbedOrder(folder=order.gallery_folder, cache_dir=order.cache_dir, data=order.data),
        observer,
    )


def _searched(order: PipelineOrder, observer: Observer) -> SearchedFront:
    found = run_search(
        SearchOrder(
            run_folder=order.run_folder,
            gallery_folder=order.gallery_folder,
            settings=order.search_settings,
            cache_dir=order.cache_dir,
            target=order.target,
        ),
        observer=observer,
    )
    if running := found.summary.counts.running:
        raise BadRun(
            f"all candidates of {order.run_folder} must be scored before one is picked, other "
            f"processes are at work on {running}; give the same command again when they are done"
        )
    picked = run_pick(PickOrder(run_folder=order.run_folder), observer)
    return SearchedFront(search=found, picked=picked)


def _trained(order: PipelineOrder, observer: Observer) -> TrainResult:
    return run_training(
        TrainOrder(run_folder=order.run_folder, settings=order.train, cache_dir=order.cache_dir),
        observer,
    )


def _evaluated(order: PipelineOrder, observer: Observer) -> Evaluation:
    return run_evaluation(
        EvaluationOrder(run_folder=order.run_folder, cache_dir=order.cache_dir, keeps_found=True),
        observer=observer,
    )


def _built(order: PipelineOrder, observer: Observer) -> Bundle:
    return build_bundle(
        order.run,
        BundleOrder(folder=order.bundle_folder, cache_dir=order.cache_dir, target=order.target),
        observer,
    )


def _indexed(order: PipelineOrder, observer: Observer) -> BuiltIndex:
    return run_indexing(
        IndexOrder(
            embeddings=order.gallery_folder,
            index_path=order.run.index_path,
            cache_dir=order.cache_dir,
            data=order.data,
        ),
        observer,
    )


def _asked(order: PipelineOrder, observer: Observer) -> AskedGallery:
    evaluation = read_evaluation(order.run)
    assert evaluation is not None, "evaluation is the stage before"
    num_queries = evaluation.queries.num_queries + evaluation.queries.num_excluded
    few = QueryOrder(
        index_path=order.run.index_path,
        bundle=order.bundle_folder,
        cache_dir=order.cache_dir,
        data=order.data,
        num_sampled=min(order.choices.sampled_queries, num_queries),
    )
    many = replace(few, num_sampled=min(order.choices.judged_queries, num_queries), k=1)
    first = [answer.found[0].is_right for answer in run_query(many, observer)]
    return AskedGallery(
        order=few,
        answers=run_query(few, observer),
        num_right=sum(map(bool, first)),
        num_asked=len(first),
        num_items=len(open_index(order.run.index_path)),
    )


WORK: dict[Stage, Callable[[PipelineOrder, Observer], AnyResult]] = {
    Stage.DATA: _prepared,
    Stage.GALLERY: _gallery,
    Stage.EMBEDDINGS: _embedded,
    Stage.SEARCH: _searched,
    Stage.TRAINING: _trained,
    Stage.EVALUATION: _evaluated,
    Stage.BUNDLE: _built,
    Stage.INDEX: _indexed,
    Stage.QUERIES: _asked,
}


def _times_before(order: PipelineOrder) -> StageTimes:
    """Return what is kept of earlier processes; for other settings no stage is finished."""
    settings_sha256 = order.settings_sha256
    found = read_times(order.run) or StageTimes(settings_sha256=settings_sha256)
    if found.settings_sha256 == settings_sha256:
        return found
    return replace(found, settings_sha256=settings_sha256, finished=())


def _times_after(before: StageTimes, stages: PipelineObserver) -> StageTimes:
    spent, in_all = stages.seconds, before.seconds_in_all
    return replace(
        before,
        finished=tuple(one for one in Stage if one in {*before.finished, *stages.finished}),
        seconds={one: spent.get(one, 0.0) for one in Stage},
        seconds_in_all={one: in_all.get(one, 0.0) + spent.get(one, 0.0) for one in Stage},
    )


def _still_likely(order: PipelineOrder, before: StageTimes) -> dict[Stage, float]:
    """Return what each stage may take that is not finished yet."""
    is_trained = order.gallery_network == "train"
    gallery = order.gallery if is_trained else None
    likely = likely_seconds(_gallery_macs(order), gallery, order.search, order.train)
    return likely | dict.fromkeys(before.finished, 0.0)


def _gallery_macs(order: PipelineOrder) -> int:
    """Return what the gallery network takes for an image, or will; 0 without a network."""
    if order.gallery_network is None:
        return open_gallery(order.gallery_folder).macs or 0
    if order.gallery_network == "shipped":
        return read_shipped(open_shipped(order.gallery.data)).network.plan().macs
    return order.gallery.shape.plan().macs
