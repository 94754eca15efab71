"""What people ask about a bundle: for what it is, what it costs, and who ran it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cmpc_cost_models.bundles.opening import Bundle

__all__ = ["bundle_facts"]


def bundle_facts(bundle: "Bundle") -> dict[str, object]:
    """Return a bundle's own account of itself as JSON values."""
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
