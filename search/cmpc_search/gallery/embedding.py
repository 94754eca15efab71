"""Embeddings of whole data sets, kept in the gallery's folder: a file for each."""

from pathlib import Path

from cmpc_base.progress import Progress
from cmpc_search.data import ImageSet
from cmpc_search.embeddings import (
    EMBEDDINGS_FILE,
    Embeddings,
    embeddings_files,
    read_embeddings,
    write_embeddings,
)
from cmpc_search.gallery.folder import Gallery

__all__ = ["embed_gallery"]


def embed_gallery(
    gallery: Gallery, image_set: ImageSet, *, progress: Progress | None = None
) -> Embeddings:
    """Embed every image of ``image_set`` and keep the result in the gallery's folder.

    What is kept already, of this network and this data, is returned as it is; what is kept of
    other data, or of another network, stays beside it.

    Raises:
        BadEmbeddings: the network gives NaN, infinities or zeros for an item.
    """
    files = embeddings_files(gallery.path)
    for path in files:
        kept = read_embeddings(path)
        if (kept.data_sha256, kept.network_sha256) == (image_set.sha256, gallery.network_sha256):
            if path != files[0]:
                path.touch()  # of several states of a data set the latest counts
            return kept
    embeddings = Embeddings(
        rows=gallery.embed(image_set.images, image_set.item_names, progress=progress),
        item_names=image_set.item_names,
        labels=image_set.labels,
        network_sha256=gallery.network_sha256,
        data_sha256=image_set.sha256,
    )
    write_embeddings(_new_file(gallery.path, image_set), embeddings)
    return embeddings


def _new_file(folder: Path, image_set: ImageSet) -> Path:
    """Name a file for the embeddings of a data set that takes no other's place."""
    first = folder / EMBEDDINGS_FILE
    return first.with_stem(f"{first.stem}-{image_set.sha256[:12]}") if first.exists() else first
