"""The bank of views of a run: made once for each recipe, and found in the cache from then on."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError

from cmpc_base.cache import Cache
from cmpc_base.hashing import document_hash
from cmpc_base.leftovers import sweep
from cmpc_base.progress import Progress
from cmpc_search.data import load_image_set
from cmpc_search.errors import BadData
from cmpc_search.gallery import Gallery
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.training.augmentation import Augmentation
from cmpc_search.training.execution import Execution
from cmpc_search.training.view_bank import (
    EmbedViews,
    ViewBank,
    ViewSettings,
    make_views,
    read_views,
    write_views,
)

__all__ = ["make_view_bank"]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Recipe:
    """All that decides what is in a bank.

    Attributes:
        is_embedded: Whether the gallery network embeds the views; else each aims at the embedding
            of its image. Ready embeddings may name the very network that gave them.
    """

    views: ViewSettings
    augmentation: Augmentation
    is_embedded: bool
    material: dict[str, str | int | float]


def make_view_bank(material: SearchMaterial, progress: Progress | None = None) -> ViewBank:
    """Return the bank of views of a run, from the cache if it was made before.

    Raises:
        BadData: the data have changed since they were loaded.
        BadEmbeddings: the gallery network gives NaN, infinities or zeros for a view.
        BadGallery: its embeddings are of other data than there are now.
    """
    path = _path_of(material)
    Cache(material.cache_dir).mark_used(path)
    if path.exists():
        try:
            return read_views(path)
        except (SafetensorError, OSError, TypeError):
            path.unlink()  # damaged: made again below
    sweep(path.parent)  # a bank that a kill cut off may fill gigabytes
    bank = _made(material, progress)
    write_views(path, bank)
    return bank


def _path_of(material: SearchMaterial) -> Path:
    recipe = _Recipe(
        views=_settings_of(material),
        augmentation=Augmentation(),
        is_embedded=material.gallery.has_network,
        material=material.hashes(),
    )
    return Cache(material.cache_dir).views / f"{document_hash(asdict(recipe))[:20]}.safetensors"


def _settings_of(material: SearchMaterial) -> ViewSettings:
    return ViewSettings(
        views_per_image=material.settings.views_per_image,
        # Without a network nobody knows what a view of two images should be.
        mixed_share=material.settings.mixed_share if material.gallery.has_network else 0.0,
        size_px=material.space.input_size_px,
        seed=material.settings.seed,
    )


def _made(material: SearchMaterial, progress: Progress | None) -> ViewBank:
    positions = material.image_set.select(split="train")
    return make_views(
        _pictures(material)[positions],
        material.gallery_bank.labels,
        _aim_of(material, positions),
        _settings_of(material),
        Execution(progress=progress),
    )


def _aim_of(material: SearchMaterial, positions: npt.NDArray[np.int64]) -> EmbedViews:
    if not material.gallery.has_network:
        return KeptEmbeddings(material.gallery_rows[positions])
    names = material.image_set.item_names
    return NetworkEmbeddings(material.gallery, tuple(names[position] for position in positions))


@dataclass(frozen=True, slots=True)
class NetworkEmbeddings:
    """Views aim at what the gallery network sees in them."""

    gallery: Gallery
    item_names: tuple[str, ...]

    def __call__(
        self, views: npt.NDArray[np.uint8], shown: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        names = [self.item_names[image] for image in shown]
        return self.gallery.embed(views, names, is_narrow=True)


@dataclass(frozen=True, slots=True, eq=False)
class KeptEmbeddings:
    """Without a network every view aims at the embedding of its image, float32 [T, D]."""

    rows: npt.NDArray[np.float32]

    def __call__(
        self, views: npt.NDArray[np.uint8], shown: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        return self.rows[shown]


def _pictures(material: SearchMaterial) -> npt.NDArray[np.uint8]:
    """Return the images of ``material`` as large as views are made: as its network reads them."""
    image_set, gallery = material.image_set, material.gallery
    if not gallery.has_network:
        return image_set.images
    large = load_image_set(
        material.settings.data,
        size_px=gallery.input_size_px,
        crop_share=gallery.crop_share,
        cache_dir=material.cache_dir,
        seed=gallery.split_seed,
    )
    if large.item_names != image_set.item_names or large.split.tolist() != image_set.split.tolist():
        raise BadData(
            f"{large.name} must hold the same items in the same splits at {large.size_px} px as "
            f"at {image_set.size_px} px; it changed meanwhile: begin again"
        )
    gallery.check_current(large)
    return large.images
