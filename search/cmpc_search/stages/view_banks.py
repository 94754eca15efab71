"""The bank of views of a run: made once for each recipe, and found in the cache from then on.

CACHE/views/RECIPE/embeddings.npy   the gallery network's embeddings, as far as they were made
                   making.lock      held by the process that makes them
"""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_base.cache import Cache
from cmpc_base.hashing import document_hash
from cmpc_base.locks import LockOwner, exclusive_if_possible
from cmpc_base.progress import OnNotice, Progress
from cmpc_search.data.svg_styles import STYLES_VERSION
from cmpc_search.gallery import Gallery
from cmpc_search.space.base import Architecture, Space
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.training.embedding_rows import DamagedRows, EmbeddingRows
from cmpc_search.training.execution import Execution
from cmpc_search.training.mixing import NO_MIXING, Mixing
from cmpc_search.training.view_bank import BATCH_SIZE, ViewBank, embed_views, repeat_rows
from cmpc_search.training.view_memory import ViewMemory
from cmpc_search.training.views import Pictures, ViewMaker, ViewRecipe

__all__ = ["make_view_bank"]

_log = logging.getLogger(__name__)

VERSION = 1  # of what views are for a recipe; another one makes all banks anew
EMBEDDINGS_FILE = "embeddings.npy"
LOCK_FILE = "making.lock"


def make_view_bank(
    material: SearchMaterial,
    progress: Progress | None = None,
    on_notice: OnNotice | None = None,
    *,
    architecture: Architecture | None = None,
) -> ViewBank:
    """Return the bank of views of a run, with the embeddings of the cache as far as it has them.

    The views are as large as ``architecture`` reads them: the same ones at every size. Without one
    they are as large as any of the space does.

    Of several processes one embeds; the others wait. ``on_notice`` is told of a damaged bank.

    Raises:
        BadData: the data have changed since they were loaded.
        BadEmbeddings: the gallery network gives NaN, infinities or zeros for a view.
        BadGallery: its embeddings are of other data than there are now.
    """
    folder = _folder_of(material)
    folder.mkdir(parents=True, exist_ok=True)
    Cache(material.cache_dir).mark_used(folder)
    path = folder / EMBEDDINGS_FILE
    rows = _found_whole(path, material)
    if rows is None:
        lock_path, doing = folder / LOCK_FILE, f"embeds the views of {folder}"
        with exclusive_if_possible(lock_path, LockOwner.PROCESS, doing=doing, on_wait=on_notice):
            rows = _opened(path, material, on_notice or _log.warning)
            if not rows.is_whole:
                _embed(rows, material, progress)
    maker = _maker(material, _size_px_of(material.space, architecture), progress)
    limit_bytes = material.settings.view_memory_mb * 10**6
    return ViewBank(
        maker=maker,
        gallery_embeddings=rows.read(),
        labels=material.gallery_bank.labels,
        memory=ViewMemory(rows.num_rows, maker.size_px, limit_bytes),
    )


def _size_px_of(space: Space, architecture: Architecture | None) -> int:
    if architecture is None:
        return space.largest_input_size_px
    return space.plan(architecture).input_size_px


def _found_whole(path: Path, material: SearchMaterial) -> EmbeddingRows | None:
    """Return the embeddings if nothing is left to do: a cache may be one that is only read."""
    if not path.exists() or not path.stat().st_size:
        return None
    try:
        rows = EmbeddingRows(path, _shape_of(material), batch_size=BATCH_SIZE)
    except DamagedRows:
        return None
    return rows if rows.is_whole else None


def _opened(path: Path, material: SearchMaterial, on_notice: OnNotice) -> EmbeddingRows:
    shape = _shape_of(material)
    try:
        return EmbeddingRows(path, shape, batch_size=BATCH_SIZE)
    except DamagedRows as error:
        on_notice(f"the views are embedded again: {error}")
        path.unlink()
        return EmbeddingRows(path, shape, batch_size=BATCH_SIZE)


def _shape_of(material: SearchMaterial) -> tuple[int, int]:
    """Return how many views there are of all images, and the length of an embedding."""
    num_images = len(material.image_set.select(split="train"))
    return material.settings.views_per_image * num_images, material.gallery.embedding_dim


def _embed(rows: EmbeddingRows, material: SearchMaterial, progress: Progress | None) -> None:
    positions = material.image_set.select(split="train")
    gallery = material.gallery
    if not gallery.has_network:
        repeat_rows(rows, material.gallery_rows[positions])
        return
    gallery.check_current(material.load_at(gallery.input_size_px))
    names = tuple(material.image_set.item_names[position] for position in positions)
    maker = _maker(material, gallery.input_size_px, progress)
    embed_views(rows, maker, NetworkEmbeddings(gallery, names), Execution(progress=progress))


def _folder_of(material: SearchMaterial) -> Path:
    recipe = _recipe_of(material)
    facts: dict[str, Any] = {
        "version": VERSION,
        "seed": recipe.seed,
        "augmentation": recipe.augmentation.model_dump(),
        "styles": STYLES_VERSION,
        "mixing": asdict(recipe.mixing),
        "views_per_image": material.settings.views_per_image,
        # Ready embeddings may name the very network that gave them.
        "is_embedded": material.gallery.has_network,
        "material": material.hashes(),
    }
    return Cache(material.cache_dir).views / document_hash(facts)[:20]


def _maker(material: SearchMaterial, size_px: int, progress: Progress | None = None) -> ViewMaker:
    """Return what makes the run's views at a size, of pictures as large as that needs."""
    recipe = _recipe_of(material)
    large = material.load_at(
        size_px * recipe.augmentation.supersampling,
        with_styles=recipe.augmentation.style_share > 0,
        progress=progress,
    )
    return ViewMaker(Pictures.of(large, large.select(split="train")), recipe, size_px)


def _recipe_of(material: SearchMaterial) -> ViewRecipe:
    settings = material.settings
    mixing = Mixing(
        share=settings.mixed_share,
        max_patches=settings.mixed_patches,
        blended_share=settings.blended_share,
    )
    return ViewRecipe(
        augmentation=settings.augmentation,
        # Without a network nobody knows what a view of two images should be.
        mixing=mixing if material.gallery.has_network else NO_MIXING,
        seed=settings.seed,
    )


@dataclass(frozen=True, slots=True, eq=False)
class NetworkEmbeddings:
    """Views aim at what the gallery network sees in them."""

    gallery: Gallery
    item_names: tuple[str, ...]

    def __call__(
        self, views: npt.NDArray[np.uint8], shown: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        names = [self.item_names[image] for image in shown]
        return self.gallery.embed(views, names, is_narrow=True)
