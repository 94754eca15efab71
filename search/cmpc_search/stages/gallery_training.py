"""Train a gallery network as its settings say, or find it trained already."""

import os
from pathlib import Path

from torch import Tensor

from cmpc_base.progress import OnNotice, Progress
from cmpc_search.data import ImageSet, load_image_set
from cmpc_search.gallery import (
    Gallery,
    checkpoint_of,
    existing_gallery,
    making,
    save_gallery_network,
)
from cmpc_search.networks.gallery.base import GalleryNetwork
from cmpc_search.stages.settings import GallerySettings
from cmpc_search.stages.together import together
from cmpc_search.training.compute import Compute
from cmpc_search.training.execution import Execution
from cmpc_search.training.gallery_task import train_gallery_network

__all__ = ["load_training_set", "train_gallery", "trained_network"]


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
        with together(order, settings.training) as compute:
            network, directions = trained_network(
                folder, settings, image_set, compute=compute, progress=progress
            )
        trained = save_gallery_network(folder, network, directions, image_set, facts=facts)
        checkpoint_of(folder, image_set, facts=facts).unlink(missing_ok=True)
    return trained


def trained_network(
    folder: Path,
    settings: GallerySettings,
    image_set: ImageSet,
    *,
    compute: Compute,
    progress: Progress | None = None,
) -> tuple[GalleryNetwork, Tensor]:
    """Return the network of ``folder`` and its class directions float32 [C, D], not yet kept."""
    checkpoint = checkpoint_of(folder, image_set, facts=settings.model_dump(mode="json"))
    return train_gallery_network(
        settings.shape,
        image_set,
        settings.training,
        seed=settings.seed,
        execution=Execution(compute=compute, checkpoint=checkpoint, progress=progress),
    )


def load_training_set(settings: GallerySettings, *, cache_dir: Path) -> ImageSet:
    """Return the data of ``settings`` as their network reads them."""
    return load_image_set(
        settings.data,
        size_px=settings.shape.input_size_px,
        cache_dir=cache_dir,
        seed=settings.split_seed,
    )
