"""Embeddings of whole data sets, kept in the gallery's folder."""

from cmpc_search.data import ImageSet
from cmpc_search.embeddings import EMBEDDINGS_FILE, Embeddings, read_embeddings, write_embeddings
from cmpc_search.gallery.folder import Gallery

__all__ = ["embed_gallery"]


def embed_gallery(gallery: Gallery, image_set: ImageSet) -> Embeddings:
    """Embed every image of ``image_set`` and keep the result in the gallery's folder.

    What is kept already, of this network and this data, is returned as it is.
    """
    path = gallery.path / EMBEDDINGS_FILE
    if path.exists():
        kept = read_embeddings(path)
        hashes = (kept.data_sha256, kept.network_sha256)
        if hashes == (image_set.sha256, gallery.network_sha256):
            return kept
    embeddings = Embeddings(
        rows=gallery.embed(image_set.images),
        item_names=image_set.item_names,
        labels=image_set.labels,
        network_sha256=gallery.network_sha256,
        data_sha256=image_set.sha256,
    )
    write_embeddings(path, embeddings)
    gallery.__dict__.pop("embeddings", None)  # what was read of the old file is kept no longer
    return embeddings
