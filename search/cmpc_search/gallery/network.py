"""The large network, run on images: one that cmpc trained, or a user's own as ONNX.

Shapes: N images, S pixels a side, D embedding length.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cmpc_base.progress import Progress
from cmpc_search.directions import unit_rows
from cmpc_search.errors import BadGallery
from cmpc_search.gallery.unfinished import RECORD_FILE
from cmpc_search.networks.gallery import GalleryNetwork, ResidualShape
from cmpc_search.pixels import resize_images, to_bytes, to_float
from cmpc_search.training.compute import CPU
from cmpc_search.training.embedding import embed_images

__all__ = ["LargeNetwork", "OnnxNetwork", "TorchNetwork", "resized", "unit_embeddings"]

IMAGES_AT_ONCE = 256
ANY_BATCH_SIZE = 32  # of a network that takes any: enough to keep a processor busy
SILENT = 4  # of ONNX Runtime's log: what it says comes as an error too


class LargeNetwork(Protocol):
    """Gives an embedding for each image."""

    name: str
    """What messages call it."""
    input_size_px: int

    def embed(
        self, images: npt.NDArray[np.uint8], *, is_mixed: bool = False
    ) -> npt.NDArray[np.float32]:
        """uint8 [N, S, S, 3] of the size that it reads -> float32 [N, D] of any length."""


class TorchNetwork:
    """A network that cmpc trained."""

    def __init__(self, path: Path, shape: dict[str, Any]) -> None:
        self.name, self.input_size_px = str(path), int(shape["input_size_px"])
        self._network = GalleryNetwork(ResidualShape(**shape | {"depths": tuple(shape["depths"])}))
        try:
            self._network.load_state_dict(_load_tensors(path))
        except RuntimeError as error:
            raise BadGallery(
                f"{path} must hold the weights of {shape['name']} as {RECORD_FILE} describes it; "
                "train the gallery again"
            ) from error
        CPU.place_network(self._network).eval()

    def embed(
        self, images: npt.NDArray[np.uint8], *, is_mixed: bool = False
    ) -> npt.NDArray[np.float32]:
        """Embed images; ``is_mixed`` computes in bfloat16 where that is fast."""
        with CPU.autocast() if is_mixed else nullcontext():
            return embed_images(self._network, images)


class OnnxNetwork:
    """A user's own network, run by ONNX Runtime; its batch may be fixed, or of any size.

    ``source`` is a file, or what would stand in it; ``name`` is what messages call it.

    Raises:
        BadGallery: ONNX Runtime can't run it, or it doesn't read float32 images [N, 3, S, S] alone
            and give one output.
    """

    def __init__(self, source: Path | bytes, name: str) -> None:
        import onnxruntime

        self.name = name
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = SILENT
        with self._blamed():
            self._session = onnxruntime.InferenceSession(source, options, CPU.onnx_providers)
        inputs, num_outputs = self._session.get_inputs(), len(self._session.get_outputs())
        if len(inputs) != 1 or num_outputs != 1:
            raise BadGallery(
                f"{name} must have one input and one output, got inputs "
                f"{[one.name for one in inputs]} and {num_outputs} outputs"
            )
        self._input_name, shape, kind = inputs[0].name, inputs[0].shape, inputs[0].type
        if kind != "tensor(float)":
            raise BadGallery(f"{name} must read float32 images, got an input of type {kind}")
        if len(shape) != 4 or shape[1] != 3 or not _is_size(shape[2]) or shape[2] != shape[3]:
            raise BadGallery(
                f"{name} must read square RGB images [N, 3, S, S] of a fixed size, "
                f"got {_shown(shape)}"
            )
        self.input_size_px = int(shape[2])
        self.batch_size = int(shape[0]) if _is_size(shape[0]) else None

    def embed(
        self, images: npt.NDArray[np.uint8], *, is_mixed: bool = False
    ) -> npt.NDArray[np.float32]:
        """Embed images in the type that the network has, mixed or not.

        Raises:
            BadGallery: it fails, or gives something else than an embedding for each image.
        """
        step = self.batch_size or ANY_BATCH_SIZE
        rows = []
        for start in range(0, len(images), step):
            batch = to_float(torch.from_numpy(np.array(images[start : start + step]))).numpy()
            count = len(batch)
            if self.batch_size is not None:  # the last batch is filled up, and cut again
                batch = np.resize(batch, (step, *batch.shape[1:]))
            rows.append(self._run(np.ascontiguousarray(batch))[:count])
        return np.concatenate(rows)

    def _run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with self._blamed():
            found = np.asarray(self._session.run(None, {self._input_name: batch})[0])
        if found.ndim != 2 or len(found) != len(batch) or found.dtype.kind != "f":
            raise BadGallery(
                f"{self.name} must give embeddings [N, D] of floating-point numbers, "
                f"got {found.dtype} {found.shape} for {len(batch)} images"
            )
        rows: npt.NDArray[np.float32] = found.astype(np.float32)
        return rows

    @contextmanager
    def _blamed(self) -> Iterator[None]:
        """Tell what ONNX Runtime says; its errors have no common type but Exception."""
        try:
            yield
        except Exception as error:
            import onnxruntime

            text = " ".join(str(error).split())
            raise BadGallery(
                f"{self.name} must run in ONNX Runtime {onnxruntime.__version__}, "
                f"which says: {text}"
            ) from error


def _is_size(value: object) -> bool:
    """Sizes that a file leaves open are names, or None."""
    return isinstance(value, int) and value > 0


def _shown(shape: Sequence[object]) -> str:
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


def unit_embeddings(
    network: LargeNetwork,
    images: npt.NDArray[np.uint8],
    item_names: Sequence[str] | None,
    *,
    is_mixed: bool = False,
    progress: Progress | None = None,
) -> npt.NDArray[np.float32]:
    """uint8 [N, H, H, 3] of any size -> unit embeddings float32 [N, D], a part at a time.

    Raises:
        BadEmbeddings: the network gives NaN, infinities or zeros for some of the items.
    """
    parts = []
    for start in range(0, len(images), IMAGES_AT_ONCE):
        end = min(start + IMAGES_AT_ONCE, len(images))
        names = None if item_names is None else item_names[start:end]
        rows = network.embed(resized(images[start:end], network.input_size_px), is_mixed=is_mixed)
        parts.append(unit_rows(rows, names, f"what {network.name} gives"))
        if progress is not None:
            progress(end, len(images))
    return np.concatenate(parts)


def resized(images: npt.NDArray[np.uint8], size_px: int) -> npt.NDArray[np.uint8]:
    """uint8 [N, H, H, 3] -> uint8 [N, size_px, size_px, 3]."""
    if images.shape[1] == size_px:
        return images
    return to_bytes(resize_images(to_float(torch.from_numpy(np.array(images))), size_px))


def _load_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise BadGallery(f"{path} must hold the gallery network's weights: {error}") from error
