"""Decide which query network to keep: data, spaces, supernets, compatibility, search.

What a user wants done is a function that takes an order and gives a result; an observer hears how
far it is. They are here by name, and each is imported when it is first asked for: what starts an
index should not wait for torch.

    from cmpc_search import GalleryTrainOrder, SearchOrder, run_gallery_training, run_search

    run_gallery_training   run_gallery_import   run_gallery_shipped
    run_gallery_ensemble   run_gallery_embedding
    run_search   run_pick   run_training   run_evaluation   build_bundle
    run_profiling   run_tuning   run_indexing   run_query   run_rank_correlation
    run_evidence
    run_pipeline, which goes through all that make one query network

A result holds its run; ``reopen_run`` gives that of a folder.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cmpc_search.gallery.importing import GallerySources
    from cmpc_search.runs.opening import reopen_run
    from cmpc_search.stages.bundling import BundleOrder, build_bundle
    from cmpc_search.stages.evaluating import EvaluationOrder, run_evaluation
    from cmpc_search.stages.evidence import EvidenceOrder, run_evidence
    from cmpc_search.stages.gallery_making import (
        GalleryEmbedOrder,
        GalleryEnsembleOrder,
        GalleryImportOrder,
        GalleryShippedOrder,
        GalleryTrainOrder,
        run_gallery_embedding,
        run_gallery_ensemble,
        run_gallery_import,
        run_gallery_shipped,
        run_gallery_training,
    )
    from cmpc_search.stages.indexing import IndexOrder, run_indexing
    from cmpc_search.stages.picking import PickOrder, run_pick
    from cmpc_search.stages.pipeline import run_pipeline
    from cmpc_search.stages.pipeline_records import PipelineOrder
    from cmpc_search.stages.profiling import ProfileOrder, run_profiling
    from cmpc_search.stages.querying import QueryOrder, run_query
    from cmpc_search.stages.rank_correlation import RankCorrelationOrder, run_rank_correlation
    from cmpc_search.stages.schedule_tuning import TuneOrder, run_tuning
    from cmpc_search.stages.searching import SearchOrder, run_search
    from cmpc_search.stages.settings import GallerySettings, SearchSettings, TrainSettings
    from cmpc_search.stages.training import TrainOrder, run_training

__all__ = [
    "BundleOrder",
    "EvaluationOrder",
    "EvidenceOrder",
    "GalleryEmbedOrder",
    "GalleryEnsembleOrder",
    "GalleryImportOrder",
    "GallerySettings",
    "GalleryShippedOrder",
    "GallerySources",
    "GalleryTrainOrder",
    "IndexOrder",
    "PickOrder",
    "PipelineOrder",
    "ProfileOrder",
    "QueryOrder",
    "RankCorrelationOrder",
    "SearchOrder",
    "SearchSettings",
    "TrainOrder",
    "TrainSettings",
    "TuneOrder",
    "build_bundle",
    "reopen_run",
    "run_evaluation",
    "run_evidence",
    "run_gallery_embedding",
    "run_gallery_ensemble",
    "run_gallery_import",
    "run_gallery_shipped",
    "run_gallery_training",
    "run_indexing",
    "run_pick",
    "run_pipeline",
    "run_profiling",
    "run_query",
    "run_rank_correlation",
    "run_search",
    "run_training",
    "run_tuning",
]

_MODULES = {
    "gallery.importing": ("GallerySources",),
    "runs.opening": ("reopen_run",),
    "stages.bundling": ("BundleOrder", "build_bundle"),
    "stages.evaluating": ("EvaluationOrder", "run_evaluation"),
    "stages.evidence": ("EvidenceOrder", "run_evidence"),
    "stages.gallery_making": (
        *("GalleryEmbedOrder", "GalleryEnsembleOrder", "GalleryImportOrder"),
        *("GalleryShippedOrder", "GalleryTrainOrder"),
        *("run_gallery_embedding", "run_gallery_ensemble", "run_gallery_import"),
        *("run_gallery_shipped", "run_gallery_training"),
    ),
    "stages.indexing": ("IndexOrder", "run_indexing"),
    "stages.picking": ("PickOrder", "run_pick"),
    "stages.pipeline": ("run_pipeline",),
    "stages.pipeline_records": ("PipelineOrder",),
    "stages.profiling": ("ProfileOrder", "run_profiling"),
    "stages.querying": ("QueryOrder", "run_query"),
    "stages.rank_correlation": ("RankCorrelationOrder", "run_rank_correlation"),
    "stages.schedule_tuning": ("TuneOrder", "run_tuning"),
    "stages.searching": ("SearchOrder", "run_search"),
    "stages.settings": ("GallerySettings", "SearchSettings", "TrainSettings"),
    "stages.training": ("TrainOrder", "run_training"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a module when one of its names is asked for."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
