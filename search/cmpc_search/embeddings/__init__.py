"""Embeddings as records and as files, with their names, labels and where they come from."""

from cmpc_search.embeddings.files import (
    EMBEDDINGS_FILE,
    embeddings_files,
    read_embeddings,
    write_embeddings,
)
from cmpc_search.embeddings.provenance import (
    GALLERY_NETWORK_KEY,
    SPLIT_SEED_KEY,
    gallery_network_of,
    split_seed_of,
)
from cmpc_search.embeddings.record import Embeddings

__all__ = [
    "EMBEDDINGS_FILE",
    "GALLERY_NETWORK_KEY",
    "SPLIT_SEED_KEY",
    "Embeddings",
    "embeddings_files",
    "gallery_network_of",
    "read_embeddings",
    "split_seed_of",
    "write_embeddings",
]
