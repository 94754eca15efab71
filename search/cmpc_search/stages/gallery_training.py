"""Train a gallery network as its settings say, or find it trained already."""

from pathlib import Path

from cmpc_base.progress import OnNotice, Progress
from cmpc_search.data import ImageSet
from cmpc_search.gallery import (
    Gallery,
    checkpoint_of,
    existing_gallery,
    making,
    save_gallery_network,
)
from cmpc_search.stages.settings import GallerySettings
from cmpc_search.training.execution import Execution
from cmpc_search.training.gallery_task import train_gallery_network

__all__ = ["train_gallery"]


def train_gallery(
    folder: Path,
    settings: GallerySettings,
    image_set: ImageSet,
    *,
    progress: Progress | None = None,
    on_wait: OnNotice | None = None,
) -> Gallery:
    """Train the network on ``image_set`` and keep it in ``folder``; it may be there already.

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
        checkpoint = checkpoint_of(folder, image_set, facts=facts)
        network, directions = train_gallery_network(
            settings.shape,
            image_set,
            settings.training,
            seed=settings.seed,
            execution=Execution(checkpoint=checkpoint, progress=progress),
        )
        trained = save_gallery_network(folder, network, directions, image_set, facts=facts)
        checkpoint.unlink(missing_ok=True)
    return trained
