"""Embeddings as files: which format, whether it holds together, and where a gallery keeps them.

A safetensors file (see ``safetensors_file``) names its rows itself; so do `.npz` and Parquet files
(see ``tables``), if they have a column for it. A `.npy` file holds the bare rows. Where a file has
no names, a list of names may lie beside it.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmpc_base.files import replacing
from cmpc_base.name_lists import read_names
from cmpc_search.directions import check_finite
from cmpc_search.embeddings.numbers import float32_rows
from cmpc_search.embeddings.record import Embeddings
from cmpc_search.embeddings.safetensors_file import read_safetensors, safetensors_bytes
from cmpc_search.embeddings.tables import read_npz, read_parquet
from cmpc_search.errors import BadArgument, BadEmbeddings

__all__ = ["EMBEDDINGS_FILE", "embeddings_files", "read_embeddings", "write_embeddings"]

EMBEDDINGS_FILE = "embeddings.safetensors"
"""What the file is called in the folder of a gallery."""


def read_embeddings(path: Path, *, ids_path: Path | None = None) -> Embeddings:
    """Read a file of embeddings, or the one in a folder that `cmpc gallery` made.

    The suffix tells the format: `.npy`, `.npz`, `.parquet`; anything else is safetensors.

    This is how every command reads embeddings. All numbers are finite; names, where there are any,
    are one a row and differ. Rows of a float32 `.npy` file stay on disk until they are used; they
    may be more than memory holds. All other rows are held in memory, as float32.

    Args:
        path: The file, or the folder of a gallery.
        ids_path: Names of the rows of a file that names none, one a line.

    Raises:
        BadArgument: names are given for a file that holds its own, or can't be read.
        BadEmbeddings: the file is none of these, holds other than finite floating-point numbers
            [N, D], or contradicts itself.
        MissingLibrary: it is a Parquet file, and pyarrow is not installed.
    """
    file_path = _only_file(path) if path.is_dir() else path
    found = READERS.get(file_path.suffix.lower(), read_safetensors)(file_path)
    if ids_path is not None:
        if found.item_names is not None:
            raise BadArgument(
                f"{file_path} names its items itself; --ids is for a file that does not"
            )
        found = replace(found, item_names=tuple(read_names(ids_path)))
    rows = float32_rows(found.rows, file_path)
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


def _is_npy(path: Path) -> bool:
    """Whether a file of this name holds bare rows."""
    return path.suffix.lower() == ".npy"


def _map_npy(path: Path) -> Embeddings:
    """Map the bare rows of a `.npy` file."""
    try:
        rows: npt.NDArray[np.float32] = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, EOFError, OSError) as error:
        raise BadEmbeddings(
            f"{path} must be an array as np.save writes it, and is not: {error}"
        ) from None
    return Embeddings(rows=rows)


READERS = {".npy": _map_npy, ".npz": read_npz, ".parquet": read_parquet}


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
        if _is_npy(path):
            np.save(file, embeddings.rows, allow_pickle=False)
        else:
            file.write(safetensors_bytes(embeddings))
