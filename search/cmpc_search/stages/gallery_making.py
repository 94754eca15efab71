"""Where the gallery side comes from: trained here, taken over from a user, applied to data."""

from dataclasses import dataclass, replace
from pathlib import Path

from cmpc_base.progress import SILENT, Observer
from cmpc_search.data import ImageSet
from cmpc_search.embeddings import Embeddings
from cmpc_search.errors import BadArgument
from cmpc_search.gallery import (
    RECORD_FILE,
    Gallery,
    GallerySources,
    check_free,
    check_members,
    embed_gallery,
    existing_gallery,
    import_gallery,
    make_ensemble,
    open_gallery,
    remember_data,
    remember_views,
)
from cmpc_search.gallery.record import DataUse
from cmpc_search.gallery.shipped.packing import open_shipped, read_shipped, unpack_shipped
from cmpc_search.stages.data_sets import prepare_data_set
from cmpc_search.stages.gallery_training import (
    train_gallery,
    training_facts,
)
from cmpc_search.stages.settings import GallerySettings, absolute_data
from cmpc_search.training.settings import GalleryTraining

__all__ = [
    "EmbeddedGallery",
    "GalleryEmbedOrder",
    "GalleryEnsembleOrder",
    "GalleryImportOrder",
    "GalleryShippedOrder",
    "GalleryTrainOrder",
    "run_gallery_embedding",
    "run_gallery_ensemble",
    "run_gallery_import",
    "run_gallery_shipped",
    "run_gallery_training",
    "training_advice",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class GalleryTrainOrder:
    """Which gallery network to train, and the folder that shall hold it."""

    folder: Path
    settings: GallerySettings
    cache_dir: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class GalleryEmbedOrder:
    """Which data a gallery's network shall embed; None is the set that it was made with."""

    folder: Path
    cache_dir: Path
    data: str | None = None
    views_per_item: int | None = None
    """Of how many views of a gallery item its embedding is the mean; None: as before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GalleryImportOrder:
    """What to make a gallery from: a network, ready embeddings, or both."""

    folder: Path
    sources: GallerySources
    cache_dir: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class GalleryEnsembleOrder:
    """Which galleries to average, and how long the embedding is; None: as the longest of theirs."""

    folder: Path
    members: tuple[Path, ...]
    cache_dir: Path
    embedding_dim: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GalleryShippedOrder:
    """Which data set's network that comes with cmpc to take, and the folder that shall hold it."""

    folder: Path
    data: str
    cache_dir: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddedGallery:
    """A gallery with its embeddings of one data set."""

    gallery: Gallery
    data: str
    embeddings: Embeddings


def run_gallery_training(order: GalleryTrainOrder, observer: Observer = SILENT) -> Gallery:
    """Train a gallery network, unless it is trained already; its data are not embedded.

    Raises:
        BadArgument: the folder holds something else.
        BadGallery: the folder holds a gallery that was trained otherwise, or on other data.
    """
    folder, settings = order.folder, order.settings
    if not (folder / RECORD_FILE).exists():
        check_free(folder)
    image_set, *further = _training_data(settings, order.cache_dir, observer)
    if existing_gallery(folder, image_set, facts=training_facts(settings, further)) is not None:
        observer.notice(f"{folder} is trained already")
    elif advice := training_advice(settings):
        observer.notice(advice)
    with observer.progress("Training the gallery network") as steps:
        return train_gallery(
            folder,
            settings,
            image_set,
            cache_dir=order.cache_dir,
            progress=steps,
            on_wait=observer.notice,
        )


def _training_data(
    settings: GallerySettings, cache_dir: Path, observer: Observer
) -> list[ImageSet]:
    """Return the data set and the further ones, each as the network reads it."""
    return [
        prepare_data_set(
            data,
            size_px=settings.shape.input_size_px,
            split_seed=settings.split_seed,
            cache_dir=cache_dir,
            observer=observer,
        )
        for data in (settings.data, *settings.further_data)
    ]


def run_gallery_embedding(order: GalleryEmbedOrder, observer: Observer = SILENT) -> EmbeddedGallery:
    """Embed a data set with a gallery's network, and keep the result beside that of others.

    Raises:
        BadArgument: no data are named, and the gallery knows of none.
        BadEmbeddings: the network gives NaN, infinities or zeros for an item.
        BadGallery: there is no gallery, or it has no network.
    """
    gallery = open_gallery(order.folder)
    named = order.data or gallery.data
    if named is None:
        raise BadArgument(
            f"the data set to embed must be named with --data: {order.folder} doesn't tell"
        )
    image_set = prepare_data_set(
        named,
        size_px=gallery.input_size_px,
        crop_share=gallery.crop_share,
        split_seed=gallery.split_seed,
        cache_dir=order.cache_dir,
        observer=observer,
    )
    if order.views_per_item is not None:
        gallery = remember_views(gallery, order.views_per_item)
    with observer.progress(f"Embedding {named}") as steps:
        embeddings = embed_gallery(gallery, image_set, progress=steps)
    remember_data(gallery, absolute_data(named))
    return EmbeddedGallery(gallery=gallery, data=image_set.name, embeddings=embeddings)


def run_gallery_import(order: GalleryImportOrder, observer: Observer = SILENT) -> Gallery:
    """Make a gallery from what a user has; with data its network embeds them, or is compared.

    Raises:
        BadArgument: the folder holds something, or the sources don't go together.
        BadGallery, BadEmbeddings, BadNetworkFile: a source can't be used.
    """
    sources = order.sources
    data = sources.data

    def load_images(size_px: int) -> ImageSet:
        assert data is not None
        return prepare_data_set(
            data,
            size_px=size_px,
            crop_share=sources.crop_share,
            split_seed=sources.split_seed,
            cache_dir=order.cache_dir,
            observer=observer,
        )

    with observer.progress("Embedding with the gallery network") as steps:
        return import_gallery(
            order.folder,
            replace(sources, data=None if data is None else absolute_data(data)),
            load_images=None if data is None else load_images,
            progress=steps,
            on_notice=observer.notice,
        )


def run_gallery_ensemble(order: GalleryEnsembleOrder, observer: Observer = SILENT) -> Gallery:
    """Make one gallery of several networks, on the data that the first was made with.

    Raises:
        BadArgument: the folder holds something, or the members don't go together.
        BadGallery, BadEmbeddings, BadNetworkFile: a member can't be used.
    """
    check_free(order.folder)
    members = [open_gallery(path) for path in order.members]
    check_members(members)
    first = members[0]
    if first.data is None:
        raise BadArgument(
            f"the members of an ensemble must know their data, {first.path} doesn't; embed them "
            "with `cmpc gallery embed` first"
        )
    image_set = prepare_data_set(
        first.data,
        size_px=first.input_size_px,
        crop_share=first.crop_share,
        split_seed=first.split_seed,
        cache_dir=order.cache_dir,
        observer=observer,
    )
    with observer.progress("Embedding with the members and with all of them") as steps:
        return make_ensemble(
            order.folder, members, image_set, embedding_dim=order.embedding_dim, progress=steps
        )


def run_gallery_shipped(order: GalleryShippedOrder, observer: Observer = SILENT) -> Gallery:
    """Make a gallery of the network that comes with cmpc for a data set, unless it is there.

    Raises:
        BadArgument: no network comes for these data, or the folder holds something else.
        BadGallery: the folder holds another gallery, or the data's classes have changed.
    """
    shipped_folder = open_shipped(order.data)
    if not (order.folder / RECORD_FILE).exists():
        check_free(order.folder)
    shipped = read_shipped(shipped_folder)
    image_set = prepare_data_set(
        order.data,
        size_px=shipped.network.input_size_px,
        split_seed=DataUse.model_validate(shipped.training).split_seed,
        cache_dir=order.cache_dir,
        observer=observer,
    )
    return unpack_shipped(shipped_folder, order.folder, image_set)


def training_advice(settings: GallerySettings) -> str | None:
    """Say it if a large network would be trained as nobody trains large networks."""
    training = settings.training
    is_pretrained = training.pretrained and settings.shape.pretrained_file is not None
    is_usual = training == GalleryTraining() and settings.augmentation.kind == "drawing"
    if settings.network == "residual-small" or is_pretrained or not is_usual:
        return None
    num_images = training.num_steps * training.classes_per_batch * 2
    return (
        f"warning: {settings.network} is about to be trained as residual-small is on small "
        f"drawings: {num_images:,} images in all, and neither cropped nor mirrored. A network of "
        "its size learns little from that: set --num-steps, --augmentation photo and the table "
        "[gallery.training] of cmpc.toml, or import a trained one with `cmpc gallery import`"
    )
