"""Make a gallery folder from what a user already has: an ONNX network, or ready embeddings.

    sources --read, run, compare--> all that is known --> one folder

Whatever can be wrong is found before anything is written.

Shapes: N images, D embedding length.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cmpc_base.files import replacing
from cmpc_base.hashing import file_hash
from cmpc_base.json_files import write_json
from cmpc_base.progress import OnNotice, Progress
from cmpc_search.data import ImageSet
from cmpc_search.directions import check_directions
from cmpc_search.embeddings import (
    EMBEDDINGS_FILE,
    Embeddings,
    embeddings_files,
    read_embeddings,
    write_embeddings,
)
from cmpc_search.errors import BadArgument, BadGallery
from cmpc_search.gallery.classifier import check_knows, read_classifier
from cmpc_search.gallery.folder import (
    CLASSIFIER_FILE,
    ONNX_FILE,
    Gallery,
    open_gallery,
)
from cmpc_search.gallery.matching import LEAST_COSINE, check_covers, cosines
from cmpc_search.gallery.networks.base import resized, unit_embeddings
from cmpc_search.gallery.onnx_file import OwnNetwork, read_own_network
from cmpc_search.gallery.proving import MOST_APART, NUM_TRIED, embedding_dim_of, made_up_images
from cmpc_search.gallery.record import SCHEMA_VERSION, GalleryRecord, OnnxReading
from cmpc_search.gallery.unfinished import RECORD_FILE, check_free, making

__all__ = ["GallerySources", "import_gallery"]

ANY_SIZE_PX = 32  # of images that are matched by name alone


@dataclass(frozen=True, kw_only=True, slots=True)
class GallerySources:
    """What to make a gallery from; a network or embeddings must be among it."""

    onnx_path: Path | None = None
    reading: OnnxReading = field(default_factory=OnnxReading)
    """How the network reads images."""
    embeddings_path: Path | None = None
    ids_path: Path | None = None
    classifier_path: Path | None = None
    data: str | None = None
    """What the data set is called, for those who use the gallery later."""
    crop_share: float | None = None
    """Part of a picture's shorter side that was embedded, see `load_image`; None: all, padded."""
    split_seed: int = 0
    """Seed that divides the data this gallery is used with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """What the sources hold, each found to be good by itself."""

    network: OwnNetwork | None
    embeddings: Embeddings | None
    images: ImageSet | None


def import_gallery(
    folder: Path,
    sources: GallerySources,
    *,
    load_images: Callable[[int], ImageSet] | None = None,
    progress: Progress | None = None,
    on_notice: OnNotice | None = None,
) -> Gallery:
    """Copy ``sources`` into a new gallery ``folder``.

    ``load_images`` returns the data set at a size in pixels. With it a network embeds all of its
    images, unless embeddings are given: these are kept, some images are embedded to see that they
    are this network's, and queries that they lack are embedded too. ``on_notice`` is told what
    the user should know of the network.

    Raises:
        BadArgument: the folder holds something, or the sources don't go together.
        BadGallery, BadEmbeddings, BadNetworkFile: a source can't be used.
    """
    check_free(folder)
    _check_sources(sources)
    embeddings = _given_embeddings(sources)
    network = _given_network(sources, on_notice)
    size_px = ANY_SIZE_PX if network is None else network.runs.input_size_px
    images = None if load_images is None else load_images(size_px)
    found = _Found(network=network, embeddings=embeddings, images=images)
    record = _record_of(sources, found)
    kept = _kept_embeddings(found, record.network_sha256, progress)
    if on_notice is not None and network is not None:
        on_notice(_proof(sources, found))
    with making(folder):
        check_free(folder)  # whom we waited for may have made a gallery
        _write(folder, sources, found.network, kept)
        write_json(folder / RECORD_FILE, record.to_json())
    return open_gallery(folder)


def _check_sources(sources: GallerySources) -> None:
    if sources.onnx_path is None and sources.embeddings_path is None:
        raise BadArgument("a gallery must come from a network or from embeddings, got neither")
    if sources.onnx_path is None and (said := sorted(sources.reading.model_fields_set)):
        raise BadArgument(f"{', '.join(said)} must be said of a --network, got none")


def _given_network(sources: GallerySources, on_notice: OnNotice | None) -> OwnNetwork | None:
    path, reading = sources.onnx_path, sources.reading
    if path is None:
        return None
    found = read_own_network(path, reading)
    if on_notice is not None and found.looks_pretrained and not reading.is_normalising:
        on_notice(
            f"{path} looks like a network that was trained on normalised images: what it gives "
            "for numbers in [0, 1] may be worth little; say with --mean and --std what it reads "
            "(0,0,0 and 1,1,1 if that is right)"
        )
    return found


def _given_embeddings(sources: GallerySources) -> Embeddings | None:
    path = sources.embeddings_path
    if path is None:
        if sources.ids_path is not None:
            raise BadArgument("--ids names the rows of --embeddings, got none")
        return None
    found = read_embeddings(path, ids_path=sources.ids_path)
    if found.item_names is None:
        raise BadArgument(
            f"{path} must name its items: with --ids beside it, `item_names` in the metadata of a "
            "safetensors file, a column `id` of an .npz or Parquet file"
        )
    check_directions(found.rows, found.item_names, str(path))
    return found


def _record_of(sources: GallerySources, found: _Found) -> GalleryRecord:
    """Return what there is to say of the sources, once they are known to fit together."""
    if found.network is not None:
        record = _network_record(sources, found.network, found.images)
        if found.embeddings is not None:
            record = record.model_copy(update={"lowest_cosine": _compared(sources, found, record)})
    else:
        record = _embeddings_record(sources, found)
    if found.embeddings is not None and found.images is not None and found.network is None:
        check_covers(found.embeddings, found.images)
    if sources.classifier_path is not None:
        _check_classifier(sources.classifier_path, record.embedding_dim, found.images)
    return record


def _network_record(
    sources: GallerySources, network: OwnNetwork, images: ImageSet | None
) -> GalleryRecord:
    if images is None:
        shown = made_up_images(network.runs.input_size_px)
        names = [f"made-up image {number}" for number in range(len(shown))]
    else:
        sample = _sample(images)
        shown, names = sample.images, list(sample.item_names)
    return GalleryRecord(
        schema_version=SCHEMA_VERSION,
        data=sources.data,
        split_seed=sources.split_seed,
        crop_share=sources.crop_share,
        network="onnx",
        network_sha256=network.sha256(),
        input_size_px=network.runs.input_size_px,
        embedding_dim=embedding_dim_of(network.runs, shown, names),
        macs=None if network.counted is None else network.counted.macs,
        parameters=None if network.counted is None else network.counted.parameters,
        reading=sources.reading,
    )


def _proof(sources: GallerySources, found: _Found) -> str:
    """Say on what a network was tried; whoever is not refused passed."""
    count = min(NUM_TRIED, NUM_TRIED if found.images is None else len(found.images))
    shown = "made-up images" if found.images is None else f"images of {found.images.name}"
    return (
        f"{sources.onnx_path} was tried on {count} {shown}: what it gives is finite, tells them "
        f"apart, and is the same each time and in any batch (to {MOST_APART})"
    )


def _embeddings_record(sources: GallerySources, found: _Found) -> GalleryRecord:
    assert found.embeddings is not None
    assert sources.embeddings_path is not None
    own_hash = found.embeddings.network_sha256
    return GalleryRecord(
        schema_version=SCHEMA_VERSION,
        data=sources.data,
        split_seed=sources.split_seed,
        crop_share=sources.crop_share,
        network=None,
        network_sha256=own_hash or file_hash(sources.embeddings_path),
        embedding_dim=found.embeddings.rows.shape[1],
    )


def _sample(images: ImageSet) -> ImageSet:
    """Return a few images, evenly drawn."""
    last = len(images) - 1
    return images.subset(np.unique(np.linspace(0, last, NUM_TRIED).round().astype(np.int64)))


def _compared(sources: GallerySources, found: _Found, record: GalleryRecord) -> float | None:
    """Return the lowest cosine of given rows to what the network gives; None without images."""
    given, network = found.embeddings, found.network
    assert given is not None
    assert network is not None
    if given.rows.shape[1] != record.embedding_dim:
        raise BadGallery(
            f"{sources.embeddings_path} must have the {record.embedding_dim} values that "
            f"{sources.onnx_path} gives, got {given.rows.shape[1]}"
        )
    if found.images is None:
        if given.network_sha256 not in (None, record.network_sha256):
            raise BadGallery(
                f"{sources.embeddings_path} must be of {sources.onnx_path}, it says that it is of "
                "another network; give --data, so that the two can be compared"
            )
        return None
    check_covers(given, found.images, roles=("gallery",))
    lacking = set(given.lacking(found.images.item_names))
    is_given = [name not in lacking for name in found.images.item_names]
    sample = _sample(found.images.subset(np.flatnonzero(is_given)))
    rows = network.runs.embed(resized(sample.images, network.runs.input_size_px))
    alike = cosines(rows, given.named(sample.item_names).rows)
    if alike.min() < LEAST_COSINE:
        raise BadGallery(
            f"{sources.embeddings_path} must hold what {sources.onnx_path} gives, got a cosine of "
            f"{alike.min():.3f} for {sample.item_names[int(alike.argmin())]!r} where "
            f"{LEAST_COSINE} is the least; give either of them alone, or images as the network "
            "was fed when it embedded"
        )
    return float(alike.min())


def _check_classifier(path: Path, embedding_dim: int, images: ImageSet | None) -> None:
    classifier = read_classifier(path)
    length = len(next(iter(classifier.values())))
    if length != embedding_dim:
        raise BadGallery(
            f"the directions of {path} must have the embeddings' length {embedding_dim}, "
            f"got {length}"
        )
    if images is not None:
        check_knows(classifier, images, path)


def _kept_embeddings(
    found: _Found, network_sha256: str, progress: Progress | None
) -> Embeddings | None:
    """Return the given embeddings, or those of all images, if there are any."""
    data_sha256 = None if found.images is None else found.images.sha256
    kept = found.embeddings
    if found.images is not None and found.network is not None:
        kept = _completed(kept, found.network, found.images, progress)
    if kept is None:
        return None
    return replace(kept, network_sha256=network_sha256, data_sha256=data_sha256)


def _completed(
    given: Embeddings | None, network: OwnNetwork, images: ImageSet, progress: Progress | None
) -> Embeddings:
    """Return what is given, and what the network gives for the images that it lacks."""
    lacking = images
    if given is not None:
        names = set(given.lacking(images.item_names))
        lacking = images.subset(np.flatnonzero([name in names for name in images.item_names]))
        if not names:
            return given
    rows = unit_embeddings(network.runs, lacking.images, lacking.item_names, progress=progress)
    if given is None or given.item_names is None:
        return Embeddings(rows=rows, item_names=lacking.item_names, labels=lacking.labels)
    return Embeddings(
        rows=np.concatenate([given.rows, rows]), item_names=given.item_names + lacking.item_names
    )


def _write(
    folder: Path, sources: GallerySources, network: OwnNetwork | None, kept: Embeddings | None
) -> None:
    own_files = folder.glob(f"{ONNX_FILE}*")  # and what lies beside it
    for left in (*own_files, folder / CLASSIFIER_FILE, *embeddings_files(folder)):
        left.unlink(missing_ok=True)  # by an earlier try, from other sources
    if network is not None:
        with replacing(folder / ONNX_FILE) as file:
            file.write(network.content)
        for name, source in network.weights.items():
            with replacing(folder / name) as file, source.open("rb") as weights:
                shutil.copyfileobj(weights, file)
    if sources.classifier_path is not None:
        with replacing(folder / CLASSIFIER_FILE) as file:
            file.write(sources.classifier_path.read_bytes())
    if kept is not None:
        write_embeddings(folder / EMBEDDINGS_FILE, kept)
