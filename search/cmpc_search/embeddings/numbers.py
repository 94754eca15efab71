"""Rows are floating-point numbers of any width, bfloat16 and float8 too, and float32 once read.

Integers are refused: they are codes (scaled values, packed bits) of unknown meaning.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmpc_search.errors import BadEmbeddings

__all__ = ["float32_rows", "no_floats"]


def float32_rows(rows: npt.NDArray[np.floating], path: Path) -> npt.NDArray[np.float32]:
    """Return rows [N, D] of any width as float32; ``path`` is for the message.

    Raises:
        BadEmbeddings: they are other numbers, or of another shape.
    """
    if rows.dtype.kind != "f":
        raise BadEmbeddings(no_floats(path, str(rows.dtype)))
    if rows.ndim != 2:
        raise BadEmbeddings(f"{path} must hold rows [N, D], got an array of shape {rows.shape}")
    if rows.dtype == np.float32:  # not so where the bytes are in another order
        return rows
    with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite, and is refused
        return rows.astype(np.float32)


def no_floats(path: Path, found: str) -> str:
    """Say that a file holds other numbers."""
    return (
        f"{path} must hold embeddings as floating-point numbers, got {found}; "
        "write the numbers that such codes stand for"
    )
