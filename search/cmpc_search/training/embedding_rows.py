"""Embeddings on disk that come a few at a time: a NumPy file to which rows are appended.

How many there are is told by the size of the file, so a process that was killed left whole rows,
and at most one in part, which is cut off. The header says from the first how many there shall be.

Shapes: V rows in all, D embedding length.
"""

from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from cmpc_base.files import bring_to_disk

__all__ = ["DamagedRows", "EmbeddingRows"]

DTYPE = np.dtype("<f2")
SYNC_EVERY = 16  # appends; a power failure loses no more
NUM_SAMPLES = 1024
LENGTH_TOLERANCE = 0.05  # of a unit row in float16; what a lost block left is zeros


class DamagedRows(ValueError):
    """A file holds other than rows of unit length as they were appended."""


class EmbeddingRows:
    """Rows float16 [V, D] of unit length in a file, made or opened to go on with.

    Args:
        path: The file.
        shape: V and D.
        batch_size: How many come at a time; what a kill left of a batch is no part of them, so that
            all batches are the same ones in the end.

    Raises:
        DamagedRows: the file is there and is no such one.
        OSError: the system refuses.
    """

    def __init__(self, path: Path, shape: tuple[int, int], *, batch_size: int) -> None:
        self.num_rows, self._path, self._shape = shape[0], path, shape
        if not path.exists() or not path.stat().st_size:
            with path.open("wb") as file:
                _write_header(file, self._shape)
        self._start = self._header_bytes()
        self._num_done, self._num_appends = self._whole_rows(batch_size), 0
        if not _are_units(self._mapped(self._num_done)):
            raise DamagedRows(f"{path} must hold rows of unit length")

    def __len__(self) -> int:
        """How many there are by now."""
        return self._num_done

    @property
    def is_whole(self) -> bool:
        return self._num_done == self.num_rows

    def append(self, rows: npt.NDArray[np.float32]) -> None:
        """Keep the next rows, [N, D]."""
        assert rows.shape[1:] == self._shape[1:], "the gallery's embeddings have one length"
        with self._path.open("r+b") as file:
            file.seek(self._start + self._num_done * self._row_bytes)
            file.write(rows.astype(DTYPE).tobytes())
            file.truncate()
            self._num_appends += 1
            self._num_done += len(rows)
            if self._num_appends % SYNC_EVERY == 0 or self.is_whole:
                bring_to_disk(file)

    def read(self) -> npt.NDArray[np.float16]:
        """Return all rows, as a read-only memory map."""
        return self._mapped(self.num_rows)

    @property
    def _row_bytes(self) -> int:
        return self._shape[1] * DTYPE.itemsize

    def _header_bytes(self) -> int:
        try:
            with self._path.open("rb") as file:
                version = np.lib.format.read_magic(file)
                shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
                start = file.tell()
        except ValueError as error:
            raise DamagedRows(f"{self._path} must be a NumPy file: {error}") from error
        if (version, shape, is_fortran, dtype) != ((1, 0), self._shape, False, DTYPE):
            raise DamagedRows(f"{self._path} must hold {self._shape} of {DTYPE}, got {shape}")
        return start

    def _whole_rows(self, batch_size: int) -> int:
        found = (self._path.stat().st_size - self._start) // self._row_bytes
        return self.num_rows if found >= self.num_rows else found // batch_size * batch_size

    def _mapped(self, num_rows: int) -> npt.NDArray[np.float16]:
        if not num_rows:
            return np.zeros((0, self._shape[1]), np.float16)
        shape = (num_rows, self._shape[1])
        return np.memmap(self._path, DTYPE, mode="r", offset=self._start, shape=shape)


def _write_header(file: BinaryIO, shape: tuple[int, int]) -> None:
    header = {"descr": DTYPE.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _are_units(rows: npt.NDArray[np.float16]) -> bool:
    """Look at some rows all over the file and at the last ones, which a power failure may take."""
    some = np.concatenate([rows[:: max(1, len(rows) // NUM_SAMPLES)], rows[-NUM_SAMPLES:]])
    lengths = np.linalg.norm(some.astype(np.float32), axis=1)
    return bool((np.abs(lengths - 1) < LENGTH_TOLERANCE).all())
