"""What people ask about a bundle: for what it is, what it costs, and who ran it."""

from dataclasses import replace
from typing import TYPE_CHECKING

from cmpc.reports.base import Report, facts_report

if TYPE_CHECKING:
    from cmpc_cost_models.bundles.opening import Bundle

__all__ = ["bundle_report"]


def bundle_report(bundle: "Bundle") -> Report:
    """Tell of a bundle, and what its latency is worth."""
    cost, doubts = bundle.cost, tuple(bundle.cost_doubts)
    report = facts_report("bundle", _facts(bundle), latency_doubts=list(doubts))
    sentences: tuple[str, ...] = ()
    unknowns: tuple[str, ...] = ()
    if cost is not None and cost.source != "measured":
        sentences = (
            f"the latency of this bundle is {cost.source.upper()}, nobody measured its network",
        )
    if cost is None and bundle.why_unmeasured is not None:
        unknowns = (f"the network of {bundle.folder} is UNMEASURED, {bundle.why_unmeasured}",)
    return replace(report, sentences=sentences, doubts=doubts, unknowns=unknowns)


def _facts(bundle: "Bundle") -> dict[str, object]:
    cost, verification = bundle.cost, bundle.manifest.get("verification")
    return {
        "bundle": bundle.folder,
        "target": bundle.manifest["target"]["name"],
        "architecture": bundle.manifest["provenance"]["architecture"],
        "embedding_dim": bundle.embedding_dim,
        "latency_ms": None if cost is None else cost.value,
        "latency_source": None if cost is None else cost.source,
        "latency_estimator": None if cost is None else cost.estimator,
        "latency_is_stable": None if cost is None else not bundle.cost_doubts,
        "why_unmeasured": bundle.why_unmeasured,
        "has_runner": bundle.runner is not None,
        "verified_by": verification and verification["run_by"],
        "cosine": verification and verification["cosine"],
        "num_bytes": sum(
            file.stat().st_size for file in bundle.folder.rglob("*") if file.is_file()
        ),
    }
