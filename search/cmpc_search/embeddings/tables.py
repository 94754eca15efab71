"""Embeddings as vector databases and scripts leave them: NumPy's `.npz`, or Parquet.

Both hold named columns, and these names are looked for in both:

    embeddings, embedding, vectors or vector     a row each
    item_names, item_name, ids or id             text or integers: what the database calls the items
    labels or label                              integers, if there are any

Nothing is unpickled.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from cmpc_base.libraries import missing_library
from cmpc_search.embeddings.numbers import no_floats
from cmpc_search.embeddings.record import Embeddings
from cmpc_search.errors import BadEmbeddings

if TYPE_CHECKING:
    import pyarrow

__all__ = ["read_npz", "read_parquet"]

ROWS = ("embeddings", "embedding", "vectors", "vector")
NAMES = ("item_names", "item_name", "ids", "id")
LABELS = ("labels", "label")


def read_npz(path: Path) -> Embeddings:
    """Read what `np.savez` wrote.

    Raises:
        BadEmbeddings: it is no such file, lacks the rows, or would have to be unpickled.
    """
    try:
        with path.open("rb") as opened:  # NumPy leaves it open where it fails
            file = np.load(opened, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise ValueError("it is one bare array, which is called .npy")
            wanted = {name: file[name] for name in _wanted(file.files, path)}
    except (ValueError, EOFError, OSError, BadZipFile) as error:
        raise BadEmbeddings(
            f"{path} must be arrays as np.savez writes them, names as text "
            f"(np.array(names, dtype=str)), and is not: {error}"
        ) from None
    return _embeddings(wanted)


def read_parquet(path: Path) -> Embeddings:
    """Read a Parquet file; only the columns that are wanted are read.

    Raises:
        BadEmbeddings: it is no such file, or its rows are no lists of floats of one length.
        MissingLibrary: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise missing_library("pyarrow", f"{path}, a Parquet file,") from None
    try:
        columns = _wanted(parquet.read_schema(path).names, path)
        table = parquet.read_table(path, columns=columns)
    except (pyarrow.ArrowException, OSError) as error:
        raise BadEmbeddings(f"{path} must be a Parquet file, and is not: {error}") from None
    rows = {columns[0]: _rows(table.column(columns[0]).combine_chunks(), path)}
    return _embeddings(rows | {name: _values(table, name, path) for name in columns[1:]})


def _wanted(present: Iterable[str], path: Path) -> list[str]:
    """Return which of the columns are looked for, that of the rows first."""
    present = list(present)
    found = [
        next((name for name in names if name in present), None) for names in (ROWS, NAMES, LABELS)
    ]
    if found[0] is None:
        raise BadEmbeddings(
            f"{path} must hold rows as one of {', '.join(ROWS)}, it has {', '.join(present)}"
        )
    return [name for name in found if name is not None]


def _embeddings(columns: Mapping[str, npt.NDArray[Any]]) -> Embeddings:
    """Return columns by their names; numbers, shapes and names are checked by `read_embeddings`."""
    by_use = {
        use: columns[name]
        for use, names in (("rows", ROWS), ("names", NAMES), ("labels", LABELS))
        for name in names
        if name in columns
    }
    names = by_use.get("names")
    return Embeddings(
        rows=by_use["rows"],
        item_names=None if names is None else tuple(map(str, names.tolist())),
        labels=by_use.get("labels"),
    )


def _rows(column: "pyarrow.Array", path: Path) -> npt.NDArray[Any]:
    """Return lists of floats as one array [N, D]."""
    import pyarrow

    kind, types = column.type, pyarrow.types
    is_lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    if not is_lists or not types.is_floating(kind.value_type):
        raise BadEmbeddings(no_floats(path, f"a column of {kind}"))
    values, lengths = column.flatten(), set(column.value_lengths().to_pylist())
    if values.null_count or len(lengths) != 1 or None in lengths:
        raise BadEmbeddings(
            f"{path} must hold rows of one length, each number filled in, got the lengths "
            f"{', '.join(map(str, lengths)) or 'of none'} and {values.null_count} empty numbers"
        )
    rows: npt.NDArray[Any] = values.to_numpy(zero_copy_only=False).reshape(len(column), -1)
    return rows


def _values(table: "pyarrow.Table", name: str, path: Path) -> npt.NDArray[Any]:
    column = table.column(name)
    if column.null_count:
        raise BadEmbeddings(
            f"{path} must have a value of {name!r} in each row, {column.null_count} lack it"
        )
    values: npt.NDArray[Any] = column.to_numpy()
    return values
