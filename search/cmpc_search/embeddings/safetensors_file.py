"""The safetensors file of embeddings: rows, labels, names and where they come from.

It holds the tensor `embeddings` [N, D] and may hold `labels` (integers [N]). Its metadata may name
each row (`item_names`, a JSON list) and the gallery network in whose space the rows live
(`network_sha256`).
"""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, deserialize, safe_open
from safetensors.numpy import save

from cmpc_search.embeddings.numbers import no_floats
from cmpc_search.embeddings.record import Embeddings
from cmpc_search.errors import BadEmbeddings

__all__ = ["read_safetensors", "safetensors_bytes"]

FLOATS = ("F64", "F32", "F16")
NARROW_FLOATS = {
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
}
"""Names of safetensors, and of ml_dtypes, for floating-point numbers that NumPy doesn't have."""


def read_safetensors(path: Path) -> Embeddings:
    """Read what `safetensors_bytes` wrote, or another program.

    Raises:
        BadEmbeddings: it is no such file, or its rows are no floating-point numbers.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            types = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
            if "embeddings" not in types:
                raise BadEmbeddings(f"{path} must hold a tensor `embeddings`, got {sorted(types)}")
            if types["embeddings"] in NARROW_FLOATS:
                rows = _read_narrow(path)
            elif types["embeddings"] in FLOATS:
                rows = file.get_tensor("embeddings")
            else:
                raise BadEmbeddings(no_floats(path, types["embeddings"]))
            labels = file.get_tensor("labels") if "labels" in types else None
    except (SafetensorError, OSError) as error:
        raise BadEmbeddings(f"{path} must be a safetensors file, and is not: {error}") from None
    return Embeddings(
        rows=rows,
        item_names=_names_in(metadata, path),
        labels=labels,
        network_sha256=metadata.get("network_sha256"),
        data_sha256=metadata.get("data_sha256"),
        views_per_item=_views_in(metadata, path),
    )


def _read_narrow(path: Path) -> npt.NDArray[np.float32]:
    """Read floating-point numbers of a type that NumPy itself doesn't have."""
    import ml_dtypes

    tensors = dict(deserialize(path.read_bytes()))  # type: ignore[no-untyped-call]
    stored = tensors["embeddings"]
    dtype = np.dtype(getattr(ml_dtypes, NARROW_FLOATS[stored["dtype"]]))
    narrow = np.frombuffer(stored["data"], dtype).reshape(stored["shape"])
    rows: npt.NDArray[np.float32] = narrow.astype(np.float32)
    return rows


def _names_in(metadata: dict[str, str], path: Path) -> tuple[str, ...] | None:
    """Return the names that the metadata give the rows, or None if they give none."""
    if "item_names" not in metadata:
        return None
    try:
        names = json.loads(metadata["item_names"])
    except json.JSONDecodeError as error:
        raise BadEmbeddings(f"`item_names` of {path} must be a JSON list: {error}") from None
    if not isinstance(names, list) or not all(isinstance(name, str | int) for name in names):
        raise BadEmbeddings(f"`item_names` of {path} must be a JSON list of names")
    return tuple(map(str, names))


def _views_in(metadata: dict[str, str], path: Path) -> int:
    told = metadata.get("views_per_item", "1")
    if not told.isdecimal() or int(told) < 1:
        raise BadEmbeddings(f"`views_per_item` of {path} must be a number from 1, got {told!r}")
    return int(told)


def safetensors_bytes(embeddings: Embeddings) -> bytes:
    """Return the content of the file that holds all of it."""
    return save(_tensors_of(embeddings), metadata=_metadata_of(embeddings))


def _tensors_of(embeddings: Embeddings) -> dict[str, npt.NDArray[np.generic]]:
    """Return what goes into the file as tensors."""
    rows = {"embeddings": np.ascontiguousarray(embeddings.rows, dtype=np.float32)}
    if embeddings.labels is None:
        return {**rows}
    return {**rows, "labels": np.ascontiguousarray(embeddings.labels, dtype=np.int64)}


def _metadata_of(embeddings: Embeddings) -> dict[str, str]:
    """Return what goes into the file as words."""
    metadata = {}
    if embeddings.item_names is not None:
        metadata["item_names"] = json.dumps(embeddings.item_names)
    if embeddings.network_sha256 is not None:
        metadata["network_sha256"] = embeddings.network_sha256
    if embeddings.data_sha256 is not None:
        metadata["data_sha256"] = embeddings.data_sha256
    if embeddings.views_per_item != 1:
        metadata["views_per_item"] = str(embeddings.views_per_item)
    return metadata
