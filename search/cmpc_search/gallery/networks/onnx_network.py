"""A large network of the user's own, run by ONNX Runtime.

Shapes: N images, S pixels a side, D embedding length.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeGuard

import numpy as np
import numpy.typing as npt
import torch

from cmpc_base.printable import one_line
from cmpc_search.errors import BadGallery
from cmpc_search.pixels import to_float
from cmpc_search.training.compute import here

__all__ = ["OnnxNetwork"]

ANY_BATCH_SIZE = 32  # of a network that takes any: enough to keep a processor busy
WEIGHTS_FOLDER_KEY = "session.model_external_initializers_file_folder_path"
SILENT = 4  # of ONNX Runtime's log: what it says comes as an error too


class OnnxNetwork:
    """A user's own network, run by ONNX Runtime; its batch may be fixed, or of any size.

    ``source`` is a file, or what would stand in it; ``name`` is what messages call it. Weights that
    it doesn't hold are in ``weights_folder``; those of a file are beside it.

    Raises:
        BadGallery: ONNX Runtime can't run it, or it doesn't read float32 images [N, 3, S, S] alone
            and give one output.
    """

    def __init__(
        self, source: Path | bytes, name: str, *, weights_folder: Path | None = None
    ) -> None:
        import onnxruntime

        self.name = name
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # images side by side: no thread waits for another
        options.log_severity_level = SILENT
        if weights_folder is not None:
            options.add_session_config_entry(WEIGHTS_FOLDER_KEY, str(weights_folder.resolve()))
        with self._as_bad_gallery():
            self._session = onnxruntime.InferenceSession(source, options, here().onnx_providers)
        inputs, num_outputs = self._session.get_inputs(), len(self._session.get_outputs())
        if len(inputs) != 1 or num_outputs != 1:
            raise BadGallery(
                f"{name} must have one input and one output, got inputs "
                f"{[one.name for one in inputs]} and {num_outputs} outputs"
            )
        self._input_name = inputs[0].name
        self.batch_size, self.input_size_px = self._sizes(inputs[0].type, inputs[0].shape)

    def _sizes(self, kind: str, shape: Sequence[object]) -> tuple[int | None, int]:
        """Return how many images the network takes at once, None being any, and their size."""
        if kind != "tensor(float)":
            raise BadGallery(f"{self.name} must read float32 images, got an input of type {kind}")
        batch, size = shape[0] if shape else None, shape[-1] if shape else None
        if len(shape) != 4 or shape[1] != 3 or shape[2] != size or not _is_size(size):
            raise BadGallery(
                f"{self.name} must read square RGB images [N, 3, S, S] of a fixed size, "
                f"got {_shown(shape)}"
            )
        return (batch if _is_size(batch) else None), size

    def embed(
        self, images: npt.NDArray[np.uint8], *, is_narrow: bool = False
    ) -> npt.NDArray[np.float32]:
        """Embed images in the type that the network has, whatever ``is_narrow`` allows.

        Raises:
            BadGallery: it fails, or gives something else than an embedding for each image.
        """
        step = self.batch_size or ANY_BATCH_SIZE
        batches = (images[start : start + step] for start in range(0, len(images), step))
        if here().threads == 1:
            return np.concatenate([self._embed_batch(batch) for batch in batches])
        with ThreadPoolExecutor(here().threads) as pool:
            return np.concatenate(list(pool.map(self._embed_batch, batches)))

    def _embed_batch(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 [N, S, S, 3] -> float32 [N, D]; a fixed batch is filled up, and cut again."""
        batch = to_float(torch.from_numpy(np.array(images))).numpy()
        if self.batch_size is not None:
            batch = np.resize(batch, (self.batch_size, *batch.shape[1:]))
        return self._run(np.ascontiguousarray(batch))[: len(images)]

    def _run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with self._as_bad_gallery():
            found = np.asarray(self._session.run(None, {self._input_name: batch})[0])
        if found.ndim != 2 or len(found) != len(batch) or found.dtype.kind != "f":
            raise BadGallery(
                f"{self.name} must give embeddings [N, D] of floating-point numbers, "
                f"got {found.dtype} {found.shape} for {len(batch)} images; --output chooses "
                "another output, --pool takes the mean of maps or tokens, or the first token"
            )
        rows: npt.NDArray[np.float32] = found.astype(np.float32)
        return rows

    @contextmanager
    def _as_bad_gallery(self) -> Iterator[None]:
        """Tell what ONNX Runtime says; its errors have no common type but Exception."""
        try:
            yield
        except Exception as error:
            import onnxruntime

            raise BadGallery(
                f"{self.name} must run in ONNX Runtime {onnxruntime.__version__}, "
                f"which says: {one_line(error)}"
            ) from error


def _is_size(value: object) -> TypeGuard[int]:
    """Sizes that a file leaves open are names, or None."""
    return isinstance(value, int) and value > 0


def _shown(shape: Sequence[object]) -> str:
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"
