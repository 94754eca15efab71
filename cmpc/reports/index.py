"""What people ask about an index: how much it holds, how large it is, how well it finds."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cmpc.reports.base import Report, facts_report

if TYPE_CHECKING:
    from cmpc_kernels import Certificate, Recall
    from cmpc_search.stages.index_changes import ChangedIndex
    from cmpc_search.stages.indexing import AnyIndex, BuiltIndex

__all__ = ["built_report", "changed_report", "index_report", "verified_report"]


def built_report(path: Path, built: "BuiltIndex") -> Report:
    """Tell of an index that was just written."""
    report = facts_report("index", _facts(path, built.index) | _recall_facts(built.recall))
    return replace(report, sentences=_recall_sentences(built.recall))


def index_report(path: Path, opened: "AnyIndex") -> Report:
    """Tell of an index, and for programs what it wants of queries."""
    return facts_report(
        "index", _facts(path, opened), query_contract=opened.query_contract().to_json()
    )


def changed_report(path: Path, changed: "ChangedIndex", name: str) -> Report:
    """Tell how many items came, went or were made anew, under ``name``."""
    facts = {"index": path, name: changed.num_changed, "num_items": changed.num_items}
    return facts_report("index", facts)


def verified_report(path: Path, certificate: "Certificate") -> Report:
    """Tell of a certificate that holds."""
    answers = certificate.answers
    facts = {
        "index": path,
        "num_exact_answers": len(answers),
        "k": certificate.k,
        "most_scored": max((answer.num_scored for answer in answers), default=0),
    }
    return facts_report("index", facts)


def _facts(path: Path, opened: "AnyIndex") -> dict[str, object]:
    """Return what people ask about an index."""
    files = opened.stored_files
    parts = opened.bytes_by_part()
    num_bytes = sum(size for part, size in parts.items() if part != "names")
    return {
        "index": path,
        "num_items": len(opened),
        "dimension": opened.dimension,
        "metric": opened.metric,
        "mode": opened.settings.mode,
        "engine": opened.settings.engine,
        "effort": opened.settings.effort,
        "storage": opened.settings.storage,
        "num_files": len(files),
        "num_bytes": sum(file.num_bytes for file in files),
        "bytes_per_vector": num_bytes / max(1, len(opened)),
        "has_names": opened.item_names is not None,
        "has_labels": opened.has_labels,
        "network_sha256": opened.network_sha256,
        "written_by": ", ".join(sorted({file.written_by or "unknown" for file in files})),
    }


def _recall_facts(recall: "Recall | None") -> dict[str, object]:
    """Return how much of the exact answer an index finds; nothing where that was not measured."""
    if recall is None:
        return {}
    from cmpc_search.stages.indexing import NUM_RECALLED

    return {
        f"recall_at_{NUM_RECALLED}": recall.recall,
        "num_recall_queries": recall.num_queries,
    }


def _recall_sentences(recall: "Recall | None") -> tuple[str, ...]:
    """Say how the recall was found out."""
    if recall is None:
        return ()
    return (
        f"recall {recall.recall:.3f} of the exact {recall.k} nearest, measured over "
        f"{recall.num_queries} queries: items of the index, each searched among the others",
    )
