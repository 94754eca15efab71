"""Several gallery networks averaged into one: its embedding compares as the members' do on average.

The unit embeddings of M members side by side have the mean of the members' cosines as their cosine
(times M). The directions that hold most of the training embeddings' length, as many as the
embedding shall have numbers, keep these cosines as nearly as so many can (Eckart and Young, 1936).
The projection onto them is the last layer of one joined network, whose multiply-accumulates are
those of the members and its own; nothing that uses a gallery knows that it is several.

Shapes: N images, L the sum of the members' lengths, D the length of the embedding.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from cmpc_base.names import few
from cmpc_base.progress import Progress
from cmpc_cost_models.graphs.joining import join_networks
from cmpc_search.data import ImageSet
from cmpc_search.errors import BadArgument, BadGallery
from cmpc_search.gallery.classes import classes_in, read_classes, write_classes
from cmpc_search.gallery.embedding import embed_gallery
from cmpc_search.gallery.folder import ONNX_FILE, Gallery
from cmpc_search.gallery.importing import GallerySources, import_gallery
from cmpc_search.gallery.unfinished import check_free

__all__ = ["average_projection", "check_members", "make_ensemble"]


def make_ensemble(
    folder: Path,
    members: Sequence[Gallery],
    image_set: ImageSet,
    *,
    embedding_dim: int | None = None,
    progress: Progress | None = None,
) -> Gallery:
    """Join the networks of ``members`` in a new gallery ``folder``, with its embeddings.

    ``image_set`` is the data that the members were made with, at the size that they read. Its
    embedding is as long as that of the member with the longest, unless ``embedding_dim`` says.

    Raises:
        BadArgument: the folder holds something, or the members don't go together.
        BadEmbeddings: a member gives NaN, infinities or zeros for an item.
        BadGallery, BadNetworkFile: a network can't be joined.
    """
    check_free(folder)
    check_members(members)
    knows_classes = _know_the_same_classes(members, image_set)
    dim = embedding_dim or max(member.embedding_dim for member in members)
    for member in members:
        embed_gallery(member, image_set, progress=progress)
    train = image_set.select(split="train")
    rows = np.concatenate([member.rows_of(image_set)[train] for member in members], axis=1)
    projection = average_projection(rows, dim)
    first = members[0]
    with TemporaryDirectory() as scratch:
        joined = Path(scratch) / "joined.onnx"
        join_networks([member.path / ONNX_FILE for member in members], projection, joined)
        sources = GallerySources(
            onnx_path=joined,
            data=first.data,
            split_seed=first.split_seed,
            crop_share=first.crop_share,
        )
        made = import_gallery(folder, sources, load_images=lambda _: image_set, progress=progress)
    if knows_classes:
        write_classes(folder, image_set, network_sha256=made.network_sha256)
    return made


def check_members(members: Sequence[Gallery]) -> None:
    """Refuse galleries that can't be one.

    Raises:
        BadArgument: there are fewer than two, or they differ in data, split, image size or crop.
        BadGallery: one has no network.
    """
    if len(members) < 2:
        raise BadArgument(f"an ensemble must have at least two members, got {len(members)}")
    kinds: dict[str, list[object]] = {
        "data": [member.record.made_with.data for member in members],
        "split seed": [member.split_seed for member in members],
        "image size": [member.input_size_px for member in members],
        "crop": [member.crop_share for member in members],
    }
    for what, values in kinds.items():
        if len(set(values)) > 1:
            raise BadArgument(f"the members of an ensemble must have one {what}, got {few(values)}")


def _know_the_same_classes(members: Sequence[Gallery], image_set: ImageSet) -> bool:
    """Tell whether it is known of all members which classes of ``image_set`` they learnt from.

    Raises:
        BadGallery: one learnt from other classes, or beside others.
    """
    now = classes_in(image_set)
    known = [read_classes(one.path, network_sha256=one.network_sha256) for one in members]
    for member, classes in zip(members, known, strict=True):
        if classes not in (None, now):
            raise BadGallery(
                f"the members of an ensemble must have been trained on {image_set.name} as it is "
                f"now, {member.path} was trained beside other classes; train it again"
            )
    return None not in known


def average_projection(rows: npt.NDArray[np.float32], dim: int) -> npt.NDArray[np.float32]:
    """Return the projection [D, L] that keeps the inner products of ``rows`` [N, L] best.

    Raises:
        BadArgument: ``dim`` is longer than the rows.
    """
    if not 0 < dim <= rows.shape[1]:
        raise BadArgument(
            f"an ensemble's embedding must have 1 to {rows.shape[1]} numbers, as many as its "
            f"members give together, got {dim}"
        )
    wide = rows.astype(np.float64)
    _, axes = np.linalg.eigh(wide.T @ wide)  # ascending
    projection: npt.NDArray[np.float32] = axes.T[::-1][:dim].astype(np.float32)
    return projection
