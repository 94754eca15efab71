"""How the whole job reads at its end: where the time went, and what may not be trusted."""

from pathlib import Path

from cmpc.output import plain
from cmpc.reports.base import Report
from cmpc.reports.pipeline import pipeline_report, stage_report
from cmpc_search.stages.answers import Answer, Found, Item
from cmpc_search.stages.pipeline_records import AskedGallery, PipelineOrder, StageResult
from cmpc_search.stages.pipeline_times import Stage, StageTimes
from cmpc_search.stages.querying import QueryOrder
from cmpc_search.stages.settings import GallerySettings, SearchSettings, TrainSettings

ORDER = PipelineOrder(
    run_folder=Path("run"),
    gallery_folder=Path("gallery"),
    bundle_folder=Path("bundle"),
    cache_dir=Path("cache"),
    gallery=GallerySettings(),
    search=SearchSettings(),
    train=TrainSettings(),
)
NOTHING = dict.fromkeys(Stage, 0.0)


def test_the_table_tells_what_each_stage_took_now_and_in_all_processes_and_its_share():
    times = StageTimes(
        settings_sha256="0",
        seconds=NOTHING | {Stage.INDEX: 2.0},
        seconds_in_all=NOTHING | {Stage.SUPERNET: 30.0, Stage.INDEX: 10.0},
    )

    [table] = pipeline_report(ORDER, {}, times).tables

    rows = list(zip(*(map(str, column.cells) for column in table.columns), strict=True))
    assert rows[4] == ("supernet", "0.0", "30.0", "75%")
    assert rows[10] == ("index", "2.0", "10.0", "25%")
    assert rows[-1] == ("all", "2.0", "40.0", "100%")


def test_a_latency_that_may_not_be_trusted_is_told_with_its_stage():
    told = {
        Stage.SEARCH: Report(document={"front": []}, doubts=("trial 3: too slow",)),
        Stage.EVALUATION: Report(document={}, unknowns=("nobody knows",)),
    }
    times = StageTimes(settings_sha256="0", seconds=NOTHING, seconds_in_all=NOTHING)

    report = pipeline_report(ORDER, told, times)

    assert report.doubts == ("search: trial 3: too slow",)
    assert report.unknowns == ("evaluation: nobody knows",)
    assert plain(report.document["stages"]) == {"search": {"front": []}, "evaluation": {}}


def test_the_few_queries_that_are_drawn_stand_beside_the_share_of_all():
    cat = Item(name="cat.png", class_name="cat")
    answer = Answer(query=cat, found=(Found(item=cat, score=1.0, is_right=True),))
    query = QueryOrder(index_path=Path("i"), bundle=Path("b"), cache_dir=Path("c"))
    asked = AskedGallery(order=query, answers=[answer], num_right=1, num_asked=4, num_items=99)

    report = stage_report(ORDER, StageResult(stage=Stage.QUERIES, result=asked))

    assert report.sentences == (
        "1 of 1 queries find an item of their class first; 25.0% of 4 test queries do, among 99 "
        "gallery items of all classes",
    )
