"""Fill a file with rows that take long to read: by several processes, and on after a kill.

    images.npy        [R, ...], filled in chunks of rows, in any order
    images.journal    which chunks are there, each with the hash of its bytes

A chunk counts if its hash is right: after a kill what was written is there, after a power failure
not all of it may be. What is in the file at the end depends on the order alone, not on who read
what and when.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmpc_base.files import bring_to_disk
from cmpc_base.hashing import document_hash
from cmpc_base.progress import Progress
from cmpc_search.data.reading import Reading
from cmpc_search.data.sources.base import Picture

__all__ = ["Filling", "fill_chunk"]

ROWS_PER_CHUNK = 32
"""Few enough to show progress on photographs, enough for a message each to cost nothing."""

Rows = npt.NDArray[np.uint8]


def fill_chunk(
    path: Path,
    reading: Reading,
    pictures: Sequence[Picture],
    chunk: range,
    on_row: Callable[[int], None] = lambda num_done: None,
) -> str:
    """Read the rows of a chunk into the file at ``path`` and return their hash.

    The file is mapped anew for each chunk, so that what was written counts as nobody's memory.
    """
    rows = np.load(path, mmap_mode="r+", allow_pickle=False)
    for num_done, number in enumerate(chunk, start=1):
        rows[number] = reading.row(pictures, number)
        on_row(num_done)
    return _hash(rows, chunk)


class Filling:
    """A file that is being filled; what an earlier process left of the same order is kept."""

    def __init__(self, path: Path, reading: Reading) -> None:
        self.path, self.reading = path, reading
        self._journal = path.with_suffix(".journal")
        self._header = document_hash(reading.to_json())
        shape = (reading.num_rows, *reading.row_shape)
        done = self._read_journal()
        is_new = not done or not path.exists()
        if is_new:
            self._journal.write_text(self._header + "\n")
            np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
        self._done = set() if is_new else self._proven(done)
        self.num_done = reading.num_rows - sum(map(len, self.missing))

    @property
    def missing(self) -> list[range]:
        """The chunks that are still to be filled."""
        return [chunk for chunk in self._chunks() if chunk.start not in self._done]

    def note(self, chunk: range, sha256: str) -> None:
        """Note that a chunk is filled."""
        with self._journal.open("a") as journal:
            journal.write(json.dumps([chunk.start, sha256]) + "\n")
        self._done.add(chunk.start)
        self.num_done += len(chunk)

    def fill(self, pictures: Sequence[Picture], progress: Progress) -> None:
        """Fill what is missing, in this process; progress is told of each row."""

        def tell(num_more: int) -> None:
            progress(self.num_done + num_more, self.reading.num_rows)

        for chunk in self.missing:
            self.note(chunk, fill_chunk(self.path, self.reading, pictures, chunk, tell))

    def finish(self) -> None:
        """Bring the rows to the disk; the journal goes."""
        with self.path.open("r+b") as file:
            bring_to_disk(file)
        self._journal.unlink()

    def _chunks(self) -> Iterator[range]:
        for start in range(0, self.reading.num_rows, ROWS_PER_CHUNK):
            yield range(start, min(start + ROWS_PER_CHUNK, self.reading.num_rows))

    def _read_journal(self) -> dict[int, str]:
        """Return the hash of each chunk that was noted for this order, by its start."""
        if not self._journal.exists():
            return {}
        header, *lines = self._journal.read_text().splitlines() or [""]
        if header != self._header:
            return {}
        # A kill may have cut the last line off.
        return dict(json.loads(line) for line in lines if line.endswith("]"))

    def _proven(self, done: dict[int, str]) -> set[int]:
        rows = np.load(self.path, mmap_mode="r", allow_pickle=False)
        return {
            chunk.start
            for chunk in self._chunks()
            if chunk.start in done and _hash(rows, chunk) == done[chunk.start]
        }


def _hash(rows: Rows, chunk: range) -> str:
    return hashlib.sha256(rows[chunk.start : chunk.stop].tobytes()).hexdigest()
