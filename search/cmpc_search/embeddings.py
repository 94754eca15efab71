"""Embeddings as a file, with what is needed to make sense of them later.

A safetensors file holds the tensor `embeddings` (float32 [N, D]) and may hold `labels` (int64
[N]). Its metadata may name each row (`item_names`, a JSON list) and the gallery network in whose
space the rows live (`network_sha256`). A `.npy` file holds the bare rows, for programs that want no
more.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from cmpc_search.errors import BadEmbeddings
from cmpc_search.files import replacing

if TYPE_CHECKING:  # bundles import ONNX, which an index does without
    from cmpc_cost_models.bundles import Bundle

__all__ = [
    "EMBEDDINGS_FILE",
    "GALLERY_NETWORK_KEY",
    "SPLIT_SEED_KEY",
    "Embeddings",
    "gallery_network_of",
    "read_embeddings",
    "split_seed_of",
    "write_embeddings",
]

GALLERY_NETWORK_KEY = "gallery_network_sha256"
"""Under this name the provenance of a bundle says in which network's space it embeds."""

SPLIT_SEED_KEY = "split_seed"
"""Under this name a run and its bundle say how the data were divided."""


EMBEDDINGS_FILE = "embeddings.safetensors"
"""What the file is called in the folder of a gallery."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Embeddings:
    """Rows of float32 [N, D], with their names, labels and network as far as they are known."""

    rows: npt.NDArray[np.float32]
    item_names: tuple[str, ...] | None = None
    labels: npt.NDArray[np.int64] | None = None
    network_sha256: str | None = None
    data_sha256: str | None = None
    """Hash of the data set that was embedded, where it was one."""

    def named(self, names: Sequence[str]) -> "Embeddings":
        """Return the rows of these items, in this order.

        Raises:
            BadEmbeddings: the rows have no names, or none of these names.
        """
        position = {name: row for row, name in enumerate(self.item_names or ())}
        missing = [name for name in names if name not in position]
        if missing:
            raise BadEmbeddings(
                f"the embeddings must have a row for each of {len(names)} items, {len(missing)} "
                f"have none, the first is {missing[0]!r}; embed them with `cmpc gallery embed`"
            )
        chosen = [position[name] for name in names]
        return replace(
            self,
            rows=self.rows[chosen],
            item_names=tuple(names),
            labels=None if self.labels is None else self.labels[chosen],
        )


def gallery_network_of(bundle: "Bundle") -> str | None:
    """Return the sha256 of the gallery network in whose space a bundle embeds, if it says so."""
    found = bundle.manifest["provenance"].get(GALLERY_NETWORK_KEY)
    return None if found is None else str(found)


def split_seed_of(bundle: "Bundle") -> int:
    """Return the seed that divided the data when the bundle's network was trained."""
    return int(bundle.manifest["provenance"].get(SPLIT_SEED_KEY, 0))


def read_embeddings(path: Path) -> Embeddings:
    """Read a safetensors file, or the one in a folder that `cmpc gallery` made, or map a `.npy`.

    Rows of a `.npy` file stay on disk until they are used; they may be more than memory holds.

    Raises:
        BadEmbeddings: the file is none of these, or contradicts itself.
    """
    file_path = path / EMBEDDINGS_FILE if path.is_dir() else path
    if file_path.suffix == ".npy":
        return Embeddings(rows=map_rows(file_path))
    try:
        with safe_open(file_path, framework="numpy") as file:
            names = set(file.keys())
            metadata = file.metadata() or {}
            if "embeddings" not in names:
                raise BadEmbeddings(
                    f"{file_path} must hold a tensor `embeddings`, got {sorted(names)}"
                )
            rows = file.get_tensor("embeddings")
            labels = file.get_tensor("labels") if "labels" in names else None
    except (SafetensorError, OSError) as error:
        raise BadEmbeddings(
            f"{file_path} must be a safetensors file, and is not: {error}"
        ) from None
    return Embeddings(
        rows=rows,
        item_names=names_of_rows(metadata, len(rows), file_path),
        labels=labels,
        network_sha256=metadata.get("network_sha256"),
        data_sha256=metadata.get("data_sha256"),
    )


def map_rows(path: Path) -> npt.NDArray[np.float32]:
    """Map the bare rows of a `.npy` file."""
    try:
        rows: npt.NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise BadEmbeddings(
            f"{path} must be an array as np.save writes it, and is not: {error}"
        ) from None
    return rows


def names_of_rows(metadata: dict[str, str], num_rows: int, path: Path) -> tuple[str, ...] | None:
    """Return the names that the metadata give the rows, one each, or None if they give none."""
    if "item_names" not in metadata:
        return None
    try:
        names = json.loads(metadata["item_names"])
    except json.JSONDecodeError as error:
        raise BadEmbeddings(f"`item_names` of {path} must be a JSON list: {error}") from None
    if not isinstance(names, list) or len(names) != num_rows:
        count = len(names) if isinstance(names, list) else "no list"
        raise BadEmbeddings(f"{path} must name each of its {num_rows} rows, got {count}")
    return tuple(map(str, names))


def write_embeddings(path: Path, embeddings: Embeddings) -> None:
    """Write all of it as safetensors, or the bare rows if the name ends in .npy."""
    with replacing(path) as file:
        if path.suffix == ".npy":
            np.save(file, embeddings.rows, allow_pickle=False)
        else:
            file.write(save(tensors_of(embeddings), metadata=metadata_of(embeddings)))


def tensors_of(embeddings: Embeddings) -> dict[str, npt.NDArray[np.generic]]:
    """Return what goes into the file as tensors."""
    rows = {"embeddings": np.ascontiguousarray(embeddings.rows, dtype=np.float32)}
    if embeddings.labels is None:
        return {**rows}
    return {**rows, "labels": np.ascontiguousarray(embeddings.labels, dtype=np.int64)}


def metadata_of(embeddings: Embeddings) -> dict[str, str]:
    """Return what goes into the file as words."""
    metadata = {}
    if embeddings.item_names is not None:
        metadata["item_names"] = json.dumps(embeddings.item_names)
    if embeddings.network_sha256 is not None:
        metadata["network_sha256"] = embeddings.network_sha256
    if embeddings.data_sha256 is not None:
        metadata["data_sha256"] = embeddings.data_sha256
    return metadata
