"""A large network that cmpc trained.

Shapes: N images, S pixels a side, D embedding length.
"""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cmpc_search.errors import BadGallery
from cmpc_search.gallery.unfinished import RECORD_FILE
from cmpc_search.networks.gallery.base import GalleryNetwork, GalleryShape
from cmpc_search.training.compute import here
from cmpc_search.training.embedding import embed_placed, image_batches

__all__ = ["TorchNetwork"]


class TorchNetwork:
    """The weights in ``path``, of this shape.

    Raises:
        BadGallery: they are damaged, or of another shape.
    """

    def __init__(self, path: Path, shape: GalleryShape) -> None:
        self.name, self.input_size_px = str(path), shape.input_size_px
        self._network = GalleryNetwork(shape)
        try:
            self._network.load_state_dict(_load_tensors(path))
        except RuntimeError as error:
            raise BadGallery(
                f"{path} must hold the weights of {shape.name} as {RECORD_FILE} describes it; "
                "train the gallery again"
            ) from error
        self._compute = here()
        self._compute.place_network(self._network).eval()

    def embed(
        self, images: npt.NDArray[np.uint8], *, is_narrow: bool = False
    ) -> npt.NDArray[np.float32]:
        """Embed images; ``is_narrow`` computes in bfloat16 where that is fast.

        Several threads may ask at once.
        """
        batches = image_batches(images, np.arange(len(images)))
        with self._compute.autocast() if is_narrow else nullcontext():
            return embed_placed(self._network, batches, self._compute)


def _load_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise BadGallery(f"{path} must hold the gallery network's weights: {error}") from error
