"""The names of items: a million strings as two arrays, which a file can map and nobody must parse.

text_T   uint8 [T]   all names in UTF-8, one behind the other
end_G    int64 [G]   where the text of each name ends; it begins where the one before ends
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from cmpc_kernels.errors import BadArgument, BadIndexFile
from cmpc_kernels.gallery.columns import Columns

__all__ = ["ChainedNames", "Names", "check_names"]

PIECE_NAMES = 1 << 16  # decoded at a time
WORD_BYTES = 8
MAX_MARKED_BYTES = 512
MIXER = np.uint64(0x9E3779B97F4A7C15)  # odd, with bits in all places: 2^64 over the golden ratio
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

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), PIECE_NAMES):
            yield from self[first : first + PIECE_NAMES]

    @overload
    def __getitem__(self, position: int) -> str: ...
    @overload
    def __getitem__(self, position: slice) -> list[str]: ...
    def __getitem__(self, position: int | slice) -> str | list[str]:
        if not isinstance(position, slice):
            at = range(len(self))[position]  # counts from the end, and refuses what lies outside
            return self._decode(at, at + 1)[0]
        first, stop, step = position.indices(len(self))
        if step == 1:
            return self._decode(first, max(first, stop))
        return [self[at] for at in range(first, stop, step)]

    def _decode(self, first: int, stop: int) -> list[str]:
        """Return the names at positions from ``first`` up to ``stop``."""
        end_G = self.end_G
        border_N = np.append(end_G[first - 1] if first else 0, end_G[first:stop])
        if (np.diff(border_N, prepend=0, append=len(self.text_T)) < 0).any():
            raise BadIndexFile(f"names at positions {first} to {stop} are out of order; {REBUILD}")
        text = self.text_T[border_N[0] : border_N[-1]].tobytes()
        places = (border_N - border_N[0]).tolist()
        try:
            return [
                text[start:end].decode("utf-8", ENCODING_ERRORS)
                for start, end in itertools.pairwise(places)
            ]
        except UnicodeDecodeError as error:
            raise BadIndexFile(
                f"a name at positions {first} to {stop} is no UTF-8; {REBUILD}"
            ) from error

    def positions_of(self, names: Iterable[str]) -> npt.NDArray[np.int64]:
        """Return the positions of all that are one of these names, ascending; few are decoded."""
        wanted = set(names)
        asked = Names.of(wanted)
        wanted_mark_N = asked._marks(0, len(asked))
        found = [
            position
            for first in range(0, len(self), PIECE_NAMES)
            for position in first
            + np.flatnonzero(np.isin(self._marks(first, first + PIECE_NAMES), wanted_mark_N))
            if self[int(position)] in wanted
        ]
        return np.array(found, np.int64)

    def _marks(self, first: int, stop: int) -> npt.NDArray[np.uint64]:
        """Return a number for each of some names, equal for equal ones; others hardly share one.

        It is made of the length and of all bytes, 8 at a time from the end; of long names the last.
        """
        end_N = self.end_G[first:stop]
        start = int(self.end_G[first - 1]) if first else 0
        last = int(end_N[-1]) if len(end_N) else 0
        text_T = np.concatenate([np.zeros(WORD_BYTES, np.uint8), self.text_T[start:last]])
        num_words = len(text_T) - WORD_BYTES + 1
        word_T = np.ndarray(num_words, "<u8", text_T.data, strides=(1,))  # that ends before each
        length_N = np.diff(end_N, prepend=start)
        mark_N = length_N.astype(np.uint64)
        at_N, num_read = np.flatnonzero(length_N > 0), 0
        while len(at_N) and num_read < MAX_MARKED_BYTES:
            place_N = np.clip(
                end_N[at_N] - start - num_read, 0, num_words - 1
            )  # or a file is altered
            num_foreign_N = np.maximum(0, WORD_BYTES - (length_N[at_N] - num_read))
            word_N = word_T[place_N] >> (8 * num_foreign_N).astype(np.uint64)
            mark_N[at_N] = (mark_N[at_N] ^ word_N) * MIXER
            num_read += WORD_BYTES
            at_N = at_N[length_N[at_N] > num_read]
        return mark_N

    def extend(self, names: "Names") -> None:
        """Put names behind the last one."""
        offset = len(self.text_T)
        self._ends.append({"ends": names.end_G + offset})
        self._text.append({"text": names.text_T})

    def take(self, positions: npt.NDArray[np.int64]) -> "Names":
        """Return the names at these ascending positions."""
        is_taken = np.zeros(len(self), np.bool_)
        is_taken[positions] = True
        length_G = np.diff(self.end_G, prepend=0)
        if (length_G < 0).any() or length_G.sum() > len(self.text_T):
            raise BadIndexFile(f"names are out of order; {REBUILD}")
        is_taken_T = np.repeat(is_taken, length_G)
        return Names(self.text_T[: len(is_taken_T)][is_taken_T], np.cumsum(length_G[is_taken]))


class ChainedNames(Sequence[str]):
    """The names of several parts, one part behind the other."""

    def __init__(self, parts: Sequence[Sequence[str]]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[str]:
        return itertools.chain.from_iterable(self._parts)

    @overload
    def __getitem__(self, position: int) -> str: ...
    @overload
    def __getitem__(self, position: slice) -> list[str]: ...
    def __getitem__(self, position: int | slice) -> str | list[str]:
        if isinstance(position, slice):
            return [self[at] for at in range(*position.indices(len(self)))]
        at = range(len(self))[position]
        for part in self._parts:
            if at < len(part):
                return part[at]
            at -= len(part)
        raise AssertionError("a position within the length is in a part")


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
