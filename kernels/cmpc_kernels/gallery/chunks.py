"""Embeddings from wherever they are, a bounded piece at a time, checked once.

array, memory-mapped or not --+
path of a .npy file ----------+--> pieces of at most some 4 MiB --> finite float rows
iterable of arrays -----------+
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_kernels.checks import check_rows
from cmpc_kernels.compiled.intrinsics import LANES as BLOCK_ROWS
from cmpc_kernels.errors import BadArgument

__all__ = ["Chunks", "EmbeddingSource"]

CHUNK_VALUES = 1 << 20  # of float32: 4 MiB

EmbeddingSource = npt.NDArray[Any] | str | os.PathLike[str] | Iterable[npt.NDArray[Any]]
"""float32 or float16 [G, D]: an array, the path of a .npy file, or arrays [., D] one by one."""


@dataclass(frozen=True, slots=True)
class Chunks:
    """A source of embeddings; iterating yields finite rows, float32 or float16 [C, D].

    ``num_rows`` is None where only the end tells. An iterator can be read once only.
    """

    parts: Iterable[npt.NDArray[Any]]
    num_rows: int | None

    @classmethod
    def of(cls, embeddings: EmbeddingSource) -> "Chunks":
        """Find out what was given; a file is mapped, not read."""
        if isinstance(embeddings, str | os.PathLike):
            embeddings = map_npy(Path(embeddings))
        if isinstance(embeddings, np.ndarray) or not isinstance(embeddings, Iterable):
            row_GD = check_rows("embeddings", embeddings)
            return cls((row_GD,), len(row_GD))
        return cls(embeddings, None)

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        dimension, start = None, 0
        for part in self.parts:
            row_ND = check_rows("embeddings", part)
            dimension = dimension or row_ND.shape[1]
            if row_ND.shape[1] != dimension:
                raise BadArgument(
                    f"all chunks of embeddings must share their dimension, got {dimension} and "
                    f"then {row_ND.shape[1]} from row {start} on"
                )
            # Whole blocks of codes need not be packed anew for the next piece.
            step = max(1, CHUNK_VALUES // dimension // BLOCK_ROWS) * BLOCK_ROWS
            for first in range(0, max(1, len(row_ND)), step):  # an empty part tells the dimension
                piece = row_ND[first : first + step]
                check_finite(piece, start + first)
                yield piece
            start += len(row_ND)
        if dimension is None:
            raise BadArgument(
                "embeddings must come in at least one chunk, got none; give an array of the "
                "shape [0, dimensions] for an empty gallery"
            )


def map_npy(path: Path) -> npt.NDArray[Any]:
    """Map the array in a .npy file."""
    try:
        mapped: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise BadArgument(
            f"embeddings in a file must be an array as np.save writes it, got {path}: {error}"
        ) from error
    if not isinstance(mapped, np.ndarray):
        raise BadArgument(f"embeddings in a file must be one array, got an archive: {path}")
    return mapped


def check_finite(row_ND: npt.NDArray[Any], first_row: int) -> None:
    """Refuse NaN and infinite values: such an item could never be found."""
    is_finite_ND = np.isfinite(row_ND)
    if not is_finite_ND.all():
        is_finite_N = is_finite_ND.all(axis=1)
        raise BadArgument(
            f"embeddings must be finite, got NaN or infinite values first in row "
            f"{first_row + int(np.argmin(is_finite_N))}; embed this item again or leave it out"
        )
