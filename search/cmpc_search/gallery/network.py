"""The large network, run on images: one that cmpc trained, or a user's own as ONNX.

Shapes: N images, S pixels a side, D embedding length.
"""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cmpc_search.embedding import embed_images, resize_images
from cmpc_search.errors import BadGallery
from cmpc_search.networks.gallery import GalleryNetwork, ResidualShape
from cmpc_search.training.augmentation import to_float
from cmpc_search.training.numerics import has_fast_bfloat16, mixed_precision, use_channels_last

__all__ = ["LargeNetwork", "OnnxNetwork", "TorchNetwork", "resized"]

BATCH_SIZE = 256


class LargeNetwork(Protocol):
    """Gives an embedding for each image."""

    def embed(
        self, images: npt.NDArray[np.uint8], *, is_mixed: bool = False
    ) -> npt.NDArray[np.float32]:
        """uint8 [N, S, S, 3] of the size that it reads -> float32 [N, D] of any length."""


class TorchNetwork:
    """A network that cmpc trained."""

    def __init__(self, path: Path, shape: dict[str, Any]) -> None:
        self._network = GalleryNetwork(ResidualShape(**shape | {"depths": tuple(shape["depths"])}))
        self._network.load_state_dict(_load_tensors(path))
        use_channels_last(self._network)
        self._network.eval()

    def embed(
        self, images: npt.NDArray[np.uint8], *, is_mixed: bool = False
    ) -> npt.NDArray[np.float32]:
        """Embed images; ``is_mixed`` computes in bfloat16 where that is fast."""
        with mixed_precision(enabled=is_mixed and has_fast_bfloat16()):
            return embed_images(self._network, images)


class OnnxNetwork:
    """A user's own network, run by ONNX Runtime; the batch may be fixed."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0]

    def embed(
        self, images: npt.NDArray[np.uint8], *, is_mixed: bool = False
    ) -> npt.NDArray[np.float32]:
        """Embed images in the type that the network has, mixed or not."""
        batch_size = self._input.shape[0]
        step = batch_size if isinstance(batch_size, int) else BATCH_SIZE
        rows = []
        for start in range(0, len(images), step):
            batch = to_float(torch.from_numpy(np.array(images[start : start + step]))).numpy()
            count = len(batch)
            if isinstance(batch_size, int):  # the last batch is filled up, and cut again
                batch = np.resize(batch, (batch_size, *batch.shape[1:]))
            found = self._session.run(None, {self._input.name: np.ascontiguousarray(batch)})[0]
            rows.append(found.reshape(len(batch), -1)[:count])
        result: npt.NDArray[np.float32] = np.concatenate(rows)
        return result


def resized(images: npt.NDArray[np.uint8], size_px: int) -> npt.NDArray[np.uint8]:
    """uint8 [N, H, H, 3] -> uint8 [N, size_px, size_px, 3]."""
    if images.shape[1] == size_px:
        return images
    small = resize_images(to_float(torch.from_numpy(np.array(images))), size_px)
    result: npt.NDArray[np.uint8] = (
        small.mul(255).round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    )
    return result


def _load_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise BadGallery(f"{path} must hold the gallery network's weights: {error}") from error
