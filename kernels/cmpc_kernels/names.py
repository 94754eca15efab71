"""The names of items: a million strings as two arrays, which a file can map and nobody must parse.

text_T   uint8 [T]   all names in UTF-8, one behind the other
end_G    int64 [G]   where the text of each name ends; it begins where the one before ends
"""

from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from cmpc_kernels.columns import Columns
from cmpc_kernels.errors import BadArgument, BadIndexFile

__all__ = ["Names", "check_names"]

ENCODING_ERRORS = "surrogatepass"  # file names that are no text come as lone surrogates


class Names(Sequence[str]):
    """Names by position, each decoded when it is asked for."""

    def __init__(self, text_T: npt.NDArray[np.uint8], end_G: npt.NDArray[np.int64]) -> None:
        self._text, self._ends = Columns({"text": text_T}), Columns({"ends": end_G})

    @classmethod
    def of(cls, names: Iterable[str]) -> "Names":
        """Store the names."""
        encoded = [name.encode("utf-8", ENCODING_ERRORS) for name in names]
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        return cls(np.frombuffer(b"".join(encoded), np.uint8), np.cumsum(lengths))

    @property
    def text_T(self) -> npt.NDArray[np.uint8]:
        return self._text["text"].view(np.uint8)

    @property
    def end_G(self) -> npt.NDArray[np.int64]:
        return self._ends["ends"].view(np.int64)

    def __len__(self) -> int:
        return self._ends.num_rows

    @overload
    def __getitem__(self, position: int) -> str: ...
    @overload
    def __getitem__(self, position: slice) -> list[str]: ...
    def __getitem__(self, position: int | slice) -> str | list[str]:
        if isinstance(position, slice):
            return [self[at] for at in range(*position.indices(len(self)))]
        at = range(len(self))[position]  # counts from the end, and refuses what lies outside
        start, end = int(self.end_G[at - 1]) if at else 0, int(self.end_G[at])
        if not 0 <= start <= end <= len(self.text_T):
            raise BadIndexFile(f"the name at position {at} lies outside of the text; {REBUILD}")
        try:
            return self.text_T[start:end].tobytes().decode("utf-8", ENCODING_ERRORS)
        except UnicodeDecodeError as error:
            raise BadIndexFile(f"the name at position {at} is no UTF-8; {REBUILD}") from error

    def extend(self, names: "Names") -> None:
        """Put names behind the last one."""
        offset = len(self.text_T)
        self._ends.append({"ends": names.end_G + offset})
        self._text.append({"text": names.text_T})

    def take(self, positions: npt.NDArray[np.int64]) -> "Names":
        """Return the names at these positions, in their order."""
        return Names.of(self[int(position)] for position in positions)


REBUILD = "the index file was altered: copy it again or rebuild the index"


def check_names(names: Sequence[str] | None, num_items: int) -> Names | None:
    """Return the names, one of each item, or None where there are none."""
    if names is None:
        return None
    if isinstance(names, str) or len(names) != num_items:
        raise BadArgument(
            f"item_names must hold one name for each of the {num_items} items, got {len(names)}"
        )
    return names if isinstance(names, Names) else Names.of(map(str, names))
