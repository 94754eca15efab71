"""Embeddings of whole data sets, kept in the gallery's folder: a file for each."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmpc_base.progress import Progress
from cmpc_search.data import ImageSet
from cmpc_search.directions import unit_rows
from cmpc_search.embeddings import (
    EMBEDDINGS_FILE,
    Embeddings,
    embeddings_files,
    read_embeddings,
    write_embeddings,
)
from cmpc_search.gallery.folder import Gallery
from cmpc_search.gallery.item_views import mild_view

__all__ = ["embed_gallery", "embedded_rows"]

VIEWS_AT_ONCE = 256
IMAGES_AT_ONCE = 1024


def embed_gallery(
    gallery: Gallery, image_set: ImageSet, *, progress: Progress | None = None
) -> Embeddings:
    """Embed every image of ``image_set`` and keep the result in the gallery's folder.

    Rows of items in the gallery role are the normalised mean over as many views as the gallery
    says, those of queries of one. What is kept already, of this network and this data, is returned
    as it is; what is kept of other data, or of another network, stays beside it.

    Raises:
        BadEmbeddings: the network gives NaN, infinities or zeros for an item.
    """
    path = _file_for(gallery, image_set)
    num_views = gallery.record.views_per_item
    if path.exists():
        kept = read_embeddings(path)
        if kept.views_per_item == num_views:
            if path != embeddings_files(gallery.path)[0]:
                path.touch()  # of several states of a data set the latest counts
            return kept
    embeddings = Embeddings(
        rows=_rows_of(gallery, image_set, progress),
        item_names=image_set.item_names,
        labels=image_set.labels,
        network_sha256=gallery.network_sha256,
        data_sha256=image_set.sha256,
        views_per_item=num_views,
    )
    write_embeddings(path, embeddings)
    return embeddings


def embedded_rows(
    gallery: Gallery,
    image_set: ImageSet,
    positions: npt.NDArray[np.int64],
    *,
    progress: Progress | None = None,
) -> npt.NDArray[np.float32]:
    """Embed the images at ``positions`` as `embed_gallery` does, and keep nothing.

    Returns:
        Unit embeddings float32 [n, D]; few images are in memory at once.

    Raises:
        BadEmbeddings: the network gives NaN, infinities or zeros for an item.
        BadGallery: there is no network, or it fails.
    """
    rows = np.empty((len(positions), gallery.embedding_dim), np.float32)
    for start in range(0, len(positions), IMAGES_AT_ONCE):
        part = positions[start : start + IMAGES_AT_ONCE]
        rows[start : start + len(part)] = _rows_of(gallery, image_set.subset(part), None)
        if progress is not None:
            progress(start + len(part), len(positions))
    return rows


def _file_for(gallery: Gallery, image_set: ImageSet) -> Path:
    """Name the file of these embeddings: the one that holds them, or one that takes no place."""
    for path in embeddings_files(gallery.path):
        kept = read_embeddings(path)
        if (kept.data_sha256, kept.network_sha256) == (image_set.sha256, gallery.network_sha256):
            return path
    first = gallery.path / EMBEDDINGS_FILE
    return first.with_stem(f"{first.stem}-{image_set.sha256[:12]}") if first.exists() else first


def _rows_of(
    gallery: Gallery, image_set: ImageSet, progress: Progress | None
) -> npt.NDArray[np.float32]:
    """Return unit embeddings float32 [N, D], of gallery items the means over their views."""
    rows = gallery.embed(image_set.images, image_set.item_names, progress=progress)
    num_views = gallery.record.views_per_item
    items = image_set.select(role="gallery")
    for number in range(1, num_views):
        for start in range(0, len(items), VIEWS_AT_ONCE):
            part = items[start : start + VIEWS_AT_ONCE]
            rows[part] += gallery.embed(mild_view(image_set.images[part], number, num_views))
            if progress is not None:
                done = (number - 1) * len(items) + start + len(part)
                progress(done, (num_views - 1) * len(items))
    return unit_rows(rows, image_set.item_names, f"the views that {gallery.path} embeds")
