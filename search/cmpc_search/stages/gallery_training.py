"""Train a gallery network as its settings say, or find it trained already."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cmpc_base.progress import OnNotice, Progress
from cmpc_search.data import ImageSet, load_image_set
from cmpc_search.gallery import (
    FURTHER_HASHES,
    Gallery,
    checkpoint_of,
    existing_gallery,
    making,
    save_gallery_network,
)
from cmpc_search.gallery.classes import classes_beside
from cmpc_search.stages.settings import GallerySettings
from cmpc_search.stages.together import together
from cmpc_search.training.execution import Execution
from cmpc_search.training.gallery_task import train_gallery_network
from cmpc_search.training.views import ViewMaker, ViewRecipe

__all__ = [
    "load_further_sets",
    "load_training_set",
    "settings_of",
    "train_gallery",
    "training_facts",
    "training_views",
]


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
        BadArgument: the folder holds something else, or the settings name no student that there is.
        BadGallery: the folder holds a gallery that was trained otherwise, or on other data.
    """
    student = settings.student_plan
    further = load_further_sets(settings, cache_dir=cache_dir)
    facts = training_facts(settings, further)
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
            "settings": settings.model_dump(mode="json"),
            "cache_dir": os.path.abspath(cache_dir),
        }
        # Before others are asked to train along: they find prepared what is prepared here.
        views = training_views(settings, cache_dir=cache_dir, progress=progress)
        checkpoint = checkpoint_of(folder, image_set, facts=facts)
        with together(order, settings.training) as compute:
            execution = Execution(compute=compute, checkpoint=checkpoint, progress=progress)
            network, directions = train_gallery_network(
                settings.shape,
                image_set,
                settings.training,
                views,
                execution,
                further,
                student,
            )
        trained = save_gallery_network(
            folder,
            network,
            directions,
            image_set,
            facts=facts,
            classes_beside=classes_beside(image_set, further),
            precision=compute.precision,
        )
        checkpoint.unlink(missing_ok=True)
    return trained


def load_training_set(settings: GallerySettings, *, cache_dir: Path) -> ImageSet:
    """Return the data of ``settings`` as their network reads them."""
    return _loaded(settings, settings.data, settings.shape.input_size_px, cache_dir=cache_dir)


def load_further_sets(settings: GallerySettings, *, cache_dir: Path) -> tuple[ImageSet, ...]:
    """Return the further data of ``settings``, as its network reads them."""
    size_px = settings.shape.input_size_px
    return tuple(
        _loaded(settings, data, size_px, cache_dir=cache_dir) for data in settings.further_data
    )


def training_facts(settings: GallerySettings, further: Sequence[ImageSet]) -> dict[str, Any]:
    """Return how a network is trained, as its record keeps it: another training has others."""
    facts = settings.model_dump(mode="json")
    if not further:
        del facts["further_data"]  # as it was before there could be any
        return facts
    return facts | {FURTHER_HASHES: [one.sha256 for one in further]}


def settings_of(facts: Mapping[str, Any]) -> GallerySettings:
    """Return the settings of a training from what its record keeps.

    Raises:
        ValidationError: this version does not know some of them.
    """
    kept = {name: value for name, value in facts.items() if name != FURTHER_HASHES}
    return GallerySettings.model_validate(kept)


def training_views(
    settings: GallerySettings, *, cache_dir: Path, progress: Progress | None = None
) -> ViewMaker:
    """Return what makes views of all images, of pictures as large as that needs.

    ``progress`` is told of every picture that is drawn for it: each in every style.
    """
    size_px, augmentation = settings.shape.input_size_px, settings.augmentation
    image_set, *further = (
        _loaded(
            settings,
            data,
            size_px * augmentation.supersampling,
            cache_dir=cache_dir,
            with_styles=augmentation.style_share > 0 or settings.training.instance_classes,
            progress=progress,
        )
        for data in (settings.data, *settings.further_data)
    )
    recipe = ViewRecipe(augmentation=augmentation, seed=settings.seed)
    return ViewMaker.of_all(image_set, recipe, size_px, further)


def _loaded(
    settings: GallerySettings,
    data: str,
    size_px: int,
    *,
    cache_dir: Path,
    with_styles: bool = False,
    progress: Progress | None = None,
) -> ImageSet:
    return load_image_set(
        data,
        size_px=size_px,
        cache_dir=cache_dir,
        seed=settings.split_seed,
        with_styles=with_styles,
        progress=progress,
    )
