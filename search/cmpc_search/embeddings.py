"""Embeddings as a file, with what is needed to make sense of them later.

A safetensors file holds the tensor `embeddings` [N, D] and may hold `labels` (integers [N]). Its
metadata may name each row (`item_names`, a JSON list) and the gallery network in whose space the
rows live (`network_sha256`). A `.npy` file holds the bare rows; a list of names may lie beside it.

Rows are floating-point numbers of any width, bfloat16 and float8 too, and are float32 once they are
read. Integers are refused: they are codes (scaled values, packed bits) of unknown meaning.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import normalize

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, deserialize, safe_open
from safetensors.numpy import save

from cmpc_base.files import replacing
from cmpc_base.name_lists import read_names
from cmpc_search.directions import check_finite
from cmpc_search.errors import BadArgument, BadEmbeddings

if TYPE_CHECKING:  # bundles import ONNX, which an index does without
    from cmpc_cost_models.bundles.bundle import Bundle

__all__ = [
    "EMBEDDINGS_FILE",
    "GALLERY_NETWORK_KEY",
    "SPLIT_SEED_KEY",
    "Embeddings",
    "embeddings_files",
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

FLOATS = ("F64", "F32", "F16")
NARROW_FLOATS = {
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
}
"""Names of safetensors, and of ml_dtypes, for floating-point numbers that NumPy doesn't have."""


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
        """Return the rows of these items, in this order; `lacking` tells which names fit.

        Raises:
            BadEmbeddings: an item has no row.
        """
        if missing := self.lacking(names):
            raise BadEmbeddings(
                f"the embeddings must have a row for each of {len(names)} items, {len(missing)} "
                f"have none, the first is {missing[0]!r}; embed them with `cmpc gallery embed`"
            )
        chosen = [row for row in self._rows_of(names) if row is not None]
        return replace(
            self,
            rows=self.rows[chosen],
            item_names=tuple(names),
            labels=None if self.labels is None else self.labels[chosen],
        )

    def lacking(self, names: Sequence[str]) -> list[str]:
        """Return those of these items that have no row.

        Where no name is equal to the byte, one that shows the same letters serves: file systems
        and databases write accents in two ways.
        """
        found = zip(names, self._rows_of(names), strict=True)
        return [name for name, row in found if row is None]

    def _rows_of(self, names: Sequence[str]) -> list[int | None]:
        rows = list(enumerate(self.item_names or ()))
        position = {normalize("NFC", name): row for row, name in rows}
        position |= {name: row for row, name in rows}
        return [position.get(name, position.get(normalize("NFC", name))) for name in names]


def gallery_network_of(bundle: "Bundle") -> str | None:
    """Return the sha256 of the gallery network in whose space a bundle embeds, if it says so."""
    found = bundle.manifest["provenance"].get(GALLERY_NETWORK_KEY)
    return None if found is None else str(found)


def split_seed_of(bundle: "Bundle") -> int:
    """Return the seed that divided the data when the bundle's network was trained."""
    return int(bundle.manifest["provenance"].get(SPLIT_SEED_KEY, 0))


def read_embeddings(path: Path, *, ids_path: Path | None = None) -> Embeddings:
    """Read a safetensors file, or the one in a folder that `cmpc gallery` made, or a `.npy` file.

    This is how every command reads embeddings. All numbers are finite; names, where there are any,
    are one a row and differ. Rows of a float32 `.npy` file stay on disk until they are used; they
    may be more than memory holds. All other rows are held in memory, as float32.

    Args:
        path: The file, or the folder of a gallery.
        ids_path: Names of the rows of a `.npy` file, one a line.

    Raises:
        BadArgument: names are given for a file that holds its own, or can't be read.
        BadEmbeddings: the file is none of these, holds other than finite floating-point numbers
            [N, D], or contradicts itself.
    """
    file_path = _only_file(path) if path.is_dir() else path
    if is_npy(file_path):
        found = Embeddings(rows=_map_array(file_path))
        if ids_path is not None:
            found = replace(found, item_names=tuple(read_names(ids_path)))
    elif ids_path is None:
        found = _read_safetensors(file_path)
    else:
        raise BadArgument(f"{file_path} names its items itself; --ids is for a .npy file")
    rows = _float32_rows(found.rows, file_path)
    _check_names(found.item_names, len(rows), ids_path or file_path)
    _check_labels(found.labels, len(rows), file_path)
    check_finite(rows, found.item_names, str(file_path))
    return replace(found, rows=rows)


def embeddings_files(folder: Path) -> list[Path]:
    """Return the embeddings in a gallery's folder, a file for each data set, the latest first."""
    found = folder.glob(f"{Path(EMBEDDINGS_FILE).stem}*.safetensors")
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)


def _only_file(folder: Path) -> Path:
    found = embeddings_files(folder)
    if not found:
        raise BadEmbeddings(f"{folder} must hold embeddings, it has none; run `cmpc gallery embed`")
    if len(found) > 1:
        raise BadEmbeddings(
            f"{folder} holds embeddings of {len(found)} data sets "
            f"({', '.join(sorted(path.name for path in found))}); name one of these files, "
            "or the data set with --data"
        )
    return found[0]


def is_npy(path: Path) -> bool:
    """Whether a file of this name holds bare rows."""
    return path.suffix.lower() == ".npy"


def _read_safetensors(path: Path) -> Embeddings:
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
                raise BadEmbeddings(_no_floats(path, types["embeddings"]))
            labels = file.get_tensor("labels") if "labels" in types else None
    except (SafetensorError, OSError) as error:
        raise BadEmbeddings(f"{path} must be a safetensors file, and is not: {error}") from None
    return Embeddings(
        rows=rows,
        item_names=_names_in(metadata, path),
        labels=labels,
        network_sha256=metadata.get("network_sha256"),
        data_sha256=metadata.get("data_sha256"),
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


def _map_array(path: Path) -> npt.NDArray[np.float32]:
    """Map the bare rows of a `.npy` file."""
    try:
        rows: npt.NDArray[np.float32] = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, EOFError, OSError) as error:
        raise BadEmbeddings(
            f"{path} must be an array as np.save writes it, and is not: {error}"
        ) from None
    return rows


def _float32_rows(rows: npt.NDArray[np.floating], path: Path) -> npt.NDArray[np.float32]:
    if rows.dtype.kind != "f":
        raise BadEmbeddings(_no_floats(path, str(rows.dtype)))
    if rows.ndim != 2:
        raise BadEmbeddings(f"{path} must hold rows [N, D], got an array of shape {rows.shape}")
    if rows.dtype == np.float32:  # not so where the bytes are in another order
        return rows
    with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite, and is refused
        return rows.astype(np.float32)


def _no_floats(path: Path, found: str) -> str:
    return (
        f"{path} must hold embeddings as floating-point numbers, got {found}; "
        "write the numbers that such codes stand for"
    )


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


def _check_names(names: tuple[str, ...] | None, num_rows: int, path: Path) -> None:
    if names is None:
        return
    if len(names) != num_rows:
        raise BadEmbeddings(f"{path} must name each of the {num_rows} rows, got {len(names)} names")
    if len(set(names)) < num_rows:
        twice = Counter(names).most_common(1)[0][0]
        raise BadEmbeddings(f"{path} must name each row differently, got {twice!r} more than once")


def _check_labels(labels: npt.NDArray[np.int64] | None, num_rows: int, path: Path) -> None:
    if labels is None:
        return
    if labels.dtype.kind not in "iu" or labels.shape != (num_rows,):
        raise BadEmbeddings(
            f"`labels` of {path} must be one integer for each of the {num_rows} rows, "
            f"got {labels.dtype} of shape {labels.shape}"
        )


def write_embeddings(path: Path, embeddings: Embeddings) -> None:
    """Write all of it as safetensors, or the bare rows if the name ends in .npy.

    Raises:
        BadArgument: the name ends in neither .npy nor .safetensors.
    """
    if path.suffix.lower() not in (".npy", ".safetensors"):
        raise BadArgument(
            f"a file of embeddings must be named .safetensors or .npy, got {path.name!r}"
        )
    with replacing(path) as file:
        if is_npy(path):
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
