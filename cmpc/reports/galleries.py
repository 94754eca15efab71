"""What people ask about a gallery: what its network is, and what it embedded."""

from typing import TYPE_CHECKING

from cmpc.reports.base import Report, facts_report

if TYPE_CHECKING:
    from cmpc_search.gallery import Gallery
    from cmpc_search.stages.gallery_making import EmbeddedGallery

__all__ = ["embedded_report", "gallery_report"]


def gallery_report(found: "Gallery") -> Report:
    """Tell of a gallery."""
    facts: dict[str, object] = {
        "gallery": found.path,
        "data": found.data,
        "macs": found.macs,
        "parameters": found.record.parameters,
        "embedding_dim": found.embedding_dim,
        "network_sha256": found.network_sha256,
    }
    if further := (found.record.training or {}).get("further_data"):
        facts["further_data"] = ", ".join(further)
    if found.record.reading is not None:
        facts |= found.record.reading.model_dump(exclude_unset=True)
    if found.crop_share is not None:
        facts["crop_share"] = found.crop_share
    if "lowest_cosine" in found.record.model_fields_set:
        facts["lowest_cosine"] = found.record.lowest_cosine
    return facts_report("gallery", facts)


def embedded_report(found: "EmbeddedGallery") -> Report:
    """Tell of a gallery's embeddings of a data set."""
    num_items, embedding_dim = found.embeddings.rows.shape
    facts: dict[str, object] = {
        "gallery": found.gallery.path,
        "data": found.data,
        "num_items": num_items,
        "views_per_item": found.embeddings.views_per_item,
        "embedding_dim": embedding_dim,
        "network_sha256": found.embeddings.network_sha256,
    }
    return facts_report("gallery", facts)
