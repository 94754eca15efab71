"""Train a gallery network as its settings say, or find it trained already."""

import os
from pathlib import Path

from cmpc_base.progress import OnNotice, Progress
from cmpc_search.data import ImageSet, load_image_set
from cmpc_search.gallery import (
    Gallery,
    checkpoint_of,
    existing_gallery,
    making,
    save_gallery_network,
)
from cmpc_search.stages.settings import GallerySettings
from cmpc_search.stages.together import together
from cmpc_search.training.execution import Execution
from cmpc_search.training.gallery_task import train_gallery_network
from cmpc_search.training.views import ViewMaker, ViewRecipe

__all__ = ["load_training_set", "train_gallery", "training_views"]


def train_gallery(
    folder: Path,
    settings: GallerySettings,
    image_set: ImageSet,
    *,
    cache_dir: Path,
    progress: Progress | None = None,
    on_wait: OnNotice | None = None,
) -> Gallery:
    """Train the network on ``image_set`` and keep it in ``folder``; it may be there already.

    The image set is that of the settings: a process that trains along loads it from there.
    Training goes on from its last checkpoint. The image set is not embedded. Of two processes one
    trains; the other waits, tells ``on_wait`` for whom, and finds it done.

    Raises:
        BadArgument: the folder holds something else.
        BadGallery: the folder holds a gallery that was trained otherwise, or on other data.
    """
    facts = settings.model_dump(mode="json")
    found = existing_gallery(folder, image_set, facts=facts)
    if found is not None:
        return found
    with making(folder, on_wait=on_wait):
        found = existing_gallery(folder, image_set, facts=facts)  # by whom we waited for
        if found is not None:
            return found
        order = {
            "kind": "gallery",
            "folder": os.path.abspath(folder),
            "settings": facts,
            "cache_dir": os.path.abspath(cache_dir),
        }
        # Before others are asked to train along: they find prepared what is prepared here.
        views = training_views(settings, cache_dir=cache_dir)
        checkpoint = checkpoint_of(folder, image_set, facts=facts)
        with together(order, settings.training) as compute:
            execution = Execution(compute=compute, checkpoint=checkpoint, progress=progress)
            network, directions = train_gallery_network(
                settings.shape, image_set, settings.training, views, execution
            )
        trained = save_gallery_network(
            folder, network, directions, image_set, facts=facts, precision=compute.precision
        )
        checkpoint.unlink(missing_ok=True)
    return trained


def load_training_set(settings: GallerySettings, *, cache_dir: Path) -> ImageSet:
    """Return the data of ``settings`` as their network reads them."""
    return _loaded(settings, settings.shape.input_size_px, cache_dir=cache_dir)


def training_views(settings: GallerySettings, *, cache_dir: Path) -> ViewMaker:
    """Return what makes views of all images, of pictures as large as that needs."""
    size_px, augmentation = settings.shape.input_size_px, settings.augmentation
    pictures = _loaded(
        settings,
        size_px * augmentation.supersampling,
        cache_dir=cache_dir,
        with_styles=augmentation.style_share > 0 or settings.training.instance_classes,
    )
    recipe = ViewRecipe(augmentation=augmentation, seed=settings.seed)
    return ViewMaker.of_all(pictures, recipe, size_px)


def _loaded(
    settings: GallerySettings, size_px: int, *, cache_dir: Path, with_styles: bool = False
) -> ImageSet:
    return load_image_set(
        settings.data,
        size_px=size_px,
        cache_dir=cache_dir,
        seed=settings.split_seed,
        with_styles=with_styles,
    )
