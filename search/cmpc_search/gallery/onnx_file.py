"""Take over a network that a user exported: one file with all its weights, proved by running it.

What a network is asked for later (images of one size in, one finite embedding each out, whatever
else is in the batch) is tried here, so that nothing of it fails in the middle of a search.

Shapes: N images, S pixels a side, D embedding length.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import external_data_helper, helper

from cmpc_cost_models.graphs.counting import count_network
from cmpc_search.directions import check_directions
from cmpc_search.errors import BadGallery
from cmpc_search.gallery.matching import LEAST_COSINE, cosines
from cmpc_search.gallery.networks.base import resized
from cmpc_search.gallery.networks.onnx_network import OnnxNetwork

__all__ = ["OwnNetwork", "embedding_dim_of", "noise_images", "read_own_network"]

MOST_BYTES = 2**31 - 1  # of one ONNX file: protobuf counts in int32
NUM_NOISE = 4
NUM_ALONE = 3
SCALARS = (str, bytes, int, float)


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnNetwork:
    """A user's network, ready to be kept and to run."""

    content: bytes
    """The whole file, weights included."""
    runs: OnnxNetwork
    macs: int
    """Of one image."""
    parameters: int


def read_own_network(path: Path) -> OwnNetwork:
    """Read an ONNX file with the weights that lie beside it.

    Raises:
        BadGallery: it is too large for one file, lacks weights, or is no network for images.
        BadNetworkFile: it is no ONNX file, or its arithmetic can't be counted.
    """
    content = _self_contained(path)
    runs = OnnxNetwork(content, str(path))
    counted = count_network(path)
    if runs.batch_size not in (None, 1):
        content = _for_one_image(content, path)
        counted = replace(counted, macs=counted.macs // runs.batch_size)
        runs = OnnxNetwork(content, str(path))
    return OwnNetwork(content=content, runs=runs, macs=counted.macs, parameters=counted.parameters)


def embedding_dim_of(
    network: OnnxNetwork, images: npt.NDArray[np.uint8], item_names: Sequence[str]
) -> int:
    """Run a network on images uint8 [N, H, H, 3] as it will be run, and return D.

    Raises:
        BadEmbeddings: an image gets NaN, infinities or zeros.
        BadGallery: all images get the same, or one something else in a batch than alone.
    """
    images = resized(images, network.input_size_px)
    together = network.embed(images)
    check_directions(together, item_names, f"what {network.name} gives")
    if len(together) > 1 and (together == together[0]).all():
        raise BadGallery(
            f"{network.name} must tell images apart, got the same embedding for all of "
            f"{len(together)} different ones; its weights or its last layers are dead"
        )
    few = range(min(NUM_ALONE, len(images)))
    alone = np.concatenate([network.embed(images[row : row + 1]) for row in few])
    least = float(cosines(together[: len(few)], alone).min())
    if least < LEAST_COSINE:
        raise BadGallery(
            f"{network.name} must give an image the same embedding whatever is in its batch, "
            f"got a cosine of {least:.3f}; export it in inference mode"
        )
    return int(together.shape[1])


def noise_images(size_px: int) -> npt.NDArray[np.uint8]:
    """Return made-up images uint8 [N, S, S, 3], for want of real ones."""
    return np.random.default_rng(0).integers(
        0, 256, (NUM_NOISE, size_px, size_px, 3), dtype=np.uint8
    )


def _self_contained(path: Path) -> bytes:
    _check_bytes(path, path.stat().st_size)
    try:
        model = onnx.load(path, load_external_data=False)
    # protobuf's own DecodeError has no stable home to import it from
    except Exception as error:
        raise BadGallery(f"{path} must be a valid ONNX file: {error}") from error
    beside = [one for one in _tensors(model) if external_data_helper.uses_external_data(one)]
    if not beside:
        return path.read_bytes()
    _check_bytes(path, path.stat().st_size + sum(map(_num_bytes, beside)))
    try:
        for tensor in beside:
            external_data_helper.load_external_data_for_tensor(tensor, str(path.parent))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise BadGallery(
            f"the weights of {path} must lie beside it, where it says: {error}"
        ) from error
    content: bytes = model.SerializeToString()
    return content


def _for_one_image(content: bytes, path: Path) -> bytes:
    """Return a network of a fixed batch as one that takes an image at a time, as it is compiled.

    Raises:
        BadGallery: the size of its batch is built into it.
    """
    many = OnnxNetwork(content, str(path))
    model = onnx.load_model_from_string(content)
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:]
    one = model.SerializeToString()
    images = noise_images(many.input_size_px)
    try:
        alike = cosines(OnnxNetwork(one, str(path)).embed(images), many.embed(images))
        if alike.min() < LEAST_COSINE:
            raise BadGallery(f"it answers otherwise, with a cosine of {alike.min():.3f}")
    except BadGallery as error:
        raise BadGallery(
            f"{path} must take one image at a time, or any number; it takes {many.batch_size}, and "
            f"could not be changed ({error}); export it again"
        ) from error
    return bytes(one)


def _check_bytes(path: Path, num_bytes: int) -> None:
    if num_bytes > MOST_BYTES:
        raise BadGallery(
            f"{path} must have less than 2 GiB with its weights, the most that one ONNX file can "
            f"hold, got {num_bytes / 2**30:.1f} GiB; import its embeddings instead"
        )


def _tensors(message: Any) -> Iterator[onnx.TensorProto]:
    """Find all tensors: initializers, constants, those of subgraphs, functions, sparse ones."""
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for _, value in message.ListFields():
        several = [value] if isinstance(value, SCALARS) or hasattr(value, "ListFields") else value
        for one in several:
            if hasattr(one, "ListFields"):
                yield from _tensors(one)


def _num_bytes(tensor: onnx.TensorProto) -> int:
    num_bytes: int = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return math.prod(map(int, tensor.dims)) * num_bytes
