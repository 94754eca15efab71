"""What a bundle says of the space it embeds in: whose it is, and how the data were divided."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # bundles import ONNX, which an index does without
    from cmpc_cost_models.bundles.opening import Bundle

__all__ = ["GALLERY_NETWORK_KEY", "SPLIT_SEED_KEY", "gallery_network_of", "split_seed_of"]

GALLERY_NETWORK_KEY = "gallery_network_sha256"
"""Under this name the provenance of a bundle says in which network's space it embeds."""

SPLIT_SEED_KEY = "split_seed"
"""Under this name a run and its bundle say how the data were divided."""


def gallery_network_of(bundle: "Bundle") -> str | None:
    """Return the sha256 of the gallery network in whose space a bundle embeds, if it says so."""
    found = bundle.manifest["provenance"].get(GALLERY_NETWORK_KEY)
    return None if found is None else str(found)


def split_seed_of(bundle: "Bundle") -> int:
    """Return the seed that divided the data when the bundle's network was trained."""
    return int(bundle.manifest["provenance"].get(SPLIT_SEED_KEY, 0))
