"""Take over a network that a user exported: with all its weights, and one way of being fed.

    FILE.onnx (+ weights beside it) --adapt--> network.onnx, one file; above 2 GiB the weights
                                               stay beside it

Shapes: N images, S pixels a side, D embedding length.
"""

import hashlib
import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnx import external_data_helper, helper

from cmpc_base.hashing import document_hash, file_hash
from cmpc_cost_models.errors import BadNetworkFile
from cmpc_cost_models.graphs.counting import NetworkCount, count_network
from cmpc_search.errors import BadGallery
from cmpc_search.gallery.networks.onnx_network import OnnxNetwork
from cmpc_search.gallery.onnx_adapting import adapt
from cmpc_search.gallery.proving import made_up_images
from cmpc_search.gallery.record import OnnxReading

__all__ = ["OwnNetwork", "read_own_network"]

MOST_BYTES = 2**31 - 1  # of one ONNX file: protobuf counts in int32
PRETRAINED = re.compile(
    "imagenet|clip|dino|pixel_values|vit|swin|beit|convnext|resne|efficientnet|mobilenet|timm",
    re.IGNORECASE,
)
SCALARS = (str, bytes, int, float)


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnNetwork:
    """A user's network, ready to be kept and to run.

    Attributes:
        content: The ONNX file.
        weights: Files that it names, by the names it has for them; none if it holds its weights.
        counted: Of one image; None where the arithmetic can't be counted.
        looks_pretrained: Whether its names tell of the large data sets on which networks are
            trained normalised.
    """

    content: bytes
    weights: dict[str, Path]
    runs: OnnxNetwork
    counted: NetworkCount | None
    looks_pretrained: bool

    def sha256(self) -> str:
        """Return the hash of all of it."""
        own = hashlib.sha256(self.content).hexdigest()
        if not self.weights:
            return own
        return document_hash([own, *map(file_hash, self.weights.values())])


def read_own_network(path: Path, reading: OnnxReading) -> OwnNetwork:
    """Read an ONNX file with the weights that lie beside it, changed to be fed as all others.

    Raises:
        BadGallery: it lacks weights, is no network for images, or can't run.
    """
    model = _read(path)
    beside = [one for one in _tensors(model) if external_data_helper.uses_external_data(one)]
    for tensor in beside:
        _check_beside(path, tensor)
    is_known = _looks_pretrained(model, path)
    is_adapted = adapt(model, reading, str(path))
    if sum(map(_num_bytes, beside)) + path.stat().st_size > MOST_BYTES:
        return _with_files(path, model, beside, is_known=is_known)
    _load_weights(path, beside)
    content = model.SerializeToString() if is_adapted or beside else path.read_bytes()
    content, runs = _for_one_image(content, OnnxNetwork(content, str(path)))
    counted = _counted(content) if runs.batch_size in (None, 1) else None
    return OwnNetwork(
        content=content, weights={}, runs=runs, counted=counted, looks_pretrained=is_known
    )


def _looks_pretrained(model: onnx.ModelProto, path: Path) -> bool:
    inputs = (value.name for value in model.graph.input)
    return any(map(PRETRAINED.search, (path.stem, model.producer_name, model.graph.name, *inputs)))


def _read(path: Path) -> onnx.ModelProto:
    if (num_bytes := path.stat().st_size) > MOST_BYTES:
        raise BadGallery(
            f"{path} must have less than 2 GiB, the most that an ONNX file can hold, got "
            f"{num_bytes / 2**30:.1f} GiB; export it with its weights in a file beside it"
        )
    try:
        return onnx.load(path, load_external_data=False)
    # protobuf's own DecodeError has no stable home to import it from
    except Exception as error:
        raise BadGallery(f"{path} must be a valid ONNX file: {error}") from error


def _check_beside(path: Path, tensor: onnx.TensorProto) -> None:
    """Refuse weights that lie elsewhere: whoever made the file must not choose what is copied."""
    named = external_data_helper.ExternalDataInfo(tensor).location
    folder = os.path.realpath(path.parent)
    found = Path(os.path.realpath(Path(folder, named)))
    if not found.is_relative_to(folder) or not found.is_file():
        raise BadGallery(
            f"the weights of {path} must lie beside it, where it says, got {named!r}; "
            "put the file there, itself and no link to it"
        )


def _load_weights(path: Path, beside: Sequence[onnx.TensorProto]) -> None:
    try:
        for tensor in beside:
            external_data_helper.load_external_data_for_tensor(tensor, str(path.parent))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise BadGallery(
            f"the weights of {path} must lie beside it, where it says: {error}"
        ) from error


def _with_files(
    path: Path, model: onnx.ModelProto, beside: Sequence[onnx.TensorProto], *, is_known: bool
) -> OwnNetwork:
    """Return a network too large for one file, which names the files of its weights anew."""
    runs = OnnxNetwork(model.SerializeToString(), str(path), weights_folder=path.parent)
    weights: dict[str, Path] = {}
    names: dict[str, str] = {}
    for entry in (entry for tensor in beside for entry in tensor.external_data):
        if entry.key == "location":
            name = names.setdefault(entry.value, f"network.onnx.weights-{len(names)}")
            weights[name] = path.parent / entry.value
            entry.value = name
    return OwnNetwork(
        content=model.SerializeToString(),
        weights=weights,
        runs=runs,
        counted=None,
        looks_pretrained=is_known,
    )


def _for_one_image(content: bytes, many: OnnxNetwork) -> tuple[bytes, OnnxNetwork]:
    """Return a network of a fixed batch as one that takes an image at a time, as it is compiled.

    One with the size of its batch built into it stays as it is: its batches are filled up.
    """
    if many.batch_size in (None, 1):
        return content, many
    model = onnx.load_model_from_string(content)
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:]
    changed = bytes(model.SerializeToString())
    images = made_up_images(many.input_size_px)
    try:
        one = OnnxNetwork(changed, many.name)
        is_same = np.allclose(one.embed(images), many.embed(images), rtol=1e-3, atol=1e-5)
    except BadGallery:
        is_same = False
    return (changed, one) if is_same else (content, many)


def _counted(content: bytes) -> NetworkCount | None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        path.write_bytes(content)
        try:
            return count_network(path)
        except BadNetworkFile:
            return None


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
