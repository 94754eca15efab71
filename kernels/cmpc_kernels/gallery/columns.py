"""Arrays with one row per item, which grow together and can be mapped from a file.

Rows are appended into spare room behind the last one, so many small additions cost little more
than one large one. Views that were handed out before stay valid: what they show never moves. The
first addition to arrays that are mapped from a file copies them into memory; reading never does.

    given or mapped   [ rows ]
    after append      [ rows | new rows | spare room, half as much again ]
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Columns"]

CACHE_LINE_BYTES = 64

Array = npt.NDArray[np.generic]


class Columns:
    """Named arrays of equal length; every view of them is read-only."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        lengths = {len(array) for array in arrays.values()}
        assert len(lengths) == 1, f"columns must be of one length, got {lengths}"
        self.num_rows: int = lengths.pop()
        self._rooms = dict(arrays)
        self._is_own = dict.fromkeys(arrays, False)

    def __contains__(self, name: str) -> bool:
        return name in self._rooms

    def __getitem__(self, name: str) -> Array:
        view = self._rooms[name][: self.num_rows]
        view.flags.writeable = False
        return view

    def __iter__(self) -> Iterator[str]:
        return iter(self._rooms)

    def arrays(self) -> dict[str, Array]:
        """Return read-only views of all columns."""
        return {name: self[name] for name in self}

    def reserve(self, num_rows: int) -> None:
        """Make room for ``num_rows``, so that appending up to there copies nothing."""
        if num_rows > self.num_rows:
            for name, room in self._rooms.items():
                if num_rows > len(room) or not self._is_own[name]:
                    larger = aligned_empty((num_rows, *room.shape[1:]), room.dtype)
                    larger[: self.num_rows] = room[: self.num_rows]
                    self._rooms[name], self._is_own[name] = larger, True

    def append(self, parts: Mapping[str, Array]) -> None:
        """Put rows behind the last one; ``parts`` has all columns."""
        assert parts.keys() == self._rooms.keys(), (
            f"columns must be {list(self)}, got {list(parts)}"
        )
        num_new = len(next(iter(parts.values())))
        if num_new == 0:
            return
        total = self.num_rows + num_new
        if any(total > len(room) for room in self._rooms.values()):
            self.reserve(max(total, self.num_rows * 3 // 2))
        self.reserve(total)  # arrays that are not ours are copied, whatever room they have
        for name, part in parts.items():
            assert len(part) == num_new, f"column {name} must have {num_new} rows, got {len(part)}"
            self._rooms[name][self.num_rows : total] = part
        self.num_rows = total

    def truncate(self, num_rows: int) -> None:
        """Forget the rows from ``num_rows`` on; what is appended next takes their place."""
        assert num_rows <= self.num_rows
        self.num_rows = num_rows


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return an array that begins on a cache line, so that no vector of a row straddles two."""
    num_bytes = math.prod(shape) * dtype.itemsize
    memory = np.empty(num_bytes + CACHE_LINE_BYTES, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE_BYTES
    return memory[start : start + num_bytes].view(dtype).reshape(shape)
