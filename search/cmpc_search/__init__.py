"""Decide which query network to keep: data, spaces, supernets, compatibility, search.

What a user wants done is a function that takes an order and gives a result; an observer hears how
far it is. They are here by name, and each is imported when it is first asked for: what starts an
index should not wait for torch.

    from cmpc_search import GalleryTrainOrder, SearchOrder, run_gallery_training, run_search

    run_gallery_training   run_gallery_import   run_gallery_embedding
    run_search   run_pick   run_training   run_evaluation   build_bundle
    run_profiling   run_tuning   run_indexing   run_query
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cmpc_search.stages.bundling import BundleOrder, build_bundle
    from cmpc_search.stages.evaluating import EvaluationOrder, run_evaluation
    from cmpc_search.stages.gallery_making import (
        GalleryEmbedOrder,
        GalleryImportOrder,
        GalleryTrainOrder,
        run_gallery_embedding,
        run_gallery_import,
        run_gallery_training,
    )
    from cmpc_search.stages.indexing import IndexOrder, run_indexing
    from cmpc_search.stages.picking import PickOrder, run_pick
    from cmpc_search.stages.profiling import ProfileOrder, run_profiling
    from cmpc_search.stages.querying import QueryOrder, run_query
    from cmpc_search.stages.schedule_tuning import TuneOrder, run_tuning
    from cmpc_search.stages.searching import SearchOrder, run_search
    from cmpc_search.stages.settings import GallerySettings, SearchSettings, TrainSettings
    from cmpc_search.stages.training import TrainOrder, run_training

__all__ = [
    "BundleOrder",
    "EvaluationOrder",
    "GalleryEmbedOrder",
    "GalleryImportOrder",
    "GallerySettings",
    "GalleryTrainOrder",
    "IndexOrder",
    "PickOrder",
    "ProfileOrder",
    "QueryOrder",
    "SearchOrder",
    "SearchSettings",
    "TrainOrder",
    "TrainSettings",
    "TuneOrder",
    "build_bundle",
    "run_evaluation",
    "run_gallery_embedding",
    "run_gallery_import",
    "run_gallery_training",
    "run_indexing",
    "run_pick",
    "run_profiling",
    "run_query",
    "run_search",
    "run_training",
    "run_tuning",
]

_STAGES = {
    "bundling": ("BundleOrder", "build_bundle"),
    "evaluating": ("EvaluationOrder", "run_evaluation"),
    "gallery_making": (
        *("GalleryEmbedOrder", "GalleryImportOrder", "GalleryTrainOrder"),
        *("run_gallery_embedding", "run_gallery_import", "run_gallery_training"),
    ),
    "indexing": ("IndexOrder", "run_indexing"),
    "picking": ("PickOrder", "run_pick"),
    "profiling": ("ProfileOrder", "run_profiling"),
    "querying": ("QueryOrder", "run_query"),
    "schedule_tuning": ("TuneOrder", "run_tuning"),
    "searching": ("SearchOrder", "run_search"),
    "settings": ("GallerySettings", "SearchSettings", "TrainSettings"),
    "training": ("TrainOrder", "run_training"),
}
_STAGE_OF = {name: stage for stage, names in _STAGES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a stage when one of its names is asked for."""
    if name not in _STAGE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.stages.{_STAGE_OF[name]}"), name)
