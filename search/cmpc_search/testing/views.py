"""Views and banks for tests: of images in memory, changed by nothing unless a test says so."""

import numpy as np
import numpy.typing as npt
from torch import Tensor

from cmpc_search.data import ImageSet
from cmpc_search.training.augmentation.drawing import Drawing
from cmpc_search.training.view_bank import ViewBank
from cmpc_search.training.view_memory import ViewMemory
from cmpc_search.training.views import Pictures, Rows, ViewMaker, ViewRecipe

__all__ = ["STILL", "bank_of", "views_of"]

STILL = Drawing(
    supersampling=1,
    max_turn_degrees=0,
    max_scale=1,
    max_stretch=1,
    max_shift=0,
    grey_share=0,
    max_gain=0,
)
"""Views that are their images."""


def bank_of(
    images: Tensor,
    gallery_embeddings: Tensor,
    labels: Tensor | None = None,
    *,
    limit_bytes: int = 0,
) -> ViewBank:
    """Return a bank of one view of each of ``images`` uint8 [V, S, S, 3], as it is.

    ``gallery_embeddings`` are [V, D], ``labels`` int64 [V]; at most ``limit_bytes`` of views stay.
    """
    pictures = Pictures(sources=(Rows((images.numpy(),)),), positions=np.arange(len(images)))
    maker = ViewMaker(pictures, ViewRecipe(augmentation=STILL, seed=0), images.shape[1])
    embeddings: npt.NDArray[np.float16] = gallery_embeddings.half().numpy()
    return ViewBank(
        maker=maker,
        gallery_embeddings=embeddings,
        labels=labels,
        memory=ViewMemory(len(images), images.shape[1], limit_bytes=limit_bytes),
    )


def views_of(image_set: ImageSet, *, seed: int = 0) -> ViewMaker:
    """Return what makes drawn views of all images of a set, as large as they are."""
    recipe = ViewRecipe(augmentation=Drawing(supersampling=1), seed=seed)
    return ViewMaker.of_all(image_set, recipe, image_set.size_px)
