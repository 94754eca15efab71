"""Where does each buffer lie in the one piece of memory that a network works in, its arena?

Buffers that are never needed at once share memory. The largest is placed first, each in the
smallest gap that those which are there leave free during its life: "greedy by size" of Pisarchyk
and Lee, Efficient Memory Management for Deep Neural Net Inference (2020).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["ALIGNMENT", "Arena", "Lifetime", "aligned", "place"]

ALIGNMENT = 64
"""Bytes. Kernels load whole vectors, and TVM lets LLVM take it for granted where buffers begin."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lifetime:
    """How large a buffer is, and from which call to which, both among them, it is needed."""

    num_bytes: int
    first: int
    last: int

    def meets(self, other: "Lifetime") -> bool:
        """Return whether both are needed at once."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, kw_only=True, slots=True)
class Arena:
    """Where buffers lie, as bytes from the start of a memory of ``num_bytes``."""

    num_bytes: int
    offsets: Mapping[str, int]


def aligned(num_bytes: int) -> int:
    """Return the next multiple of ``ALIGNMENT``."""
    return -(-num_bytes // ALIGNMENT) * ALIGNMENT


def place(buffers: Mapping[str, Lifetime]) -> Arena:
    """Return an arena in which no two buffers overlap that are needed at once."""
    spans: dict[str, tuple[int, int]] = {}
    for name, life in sorted(buffers.items(), key=lambda item: -item[1].num_bytes):
        taken = (span for other, span in spans.items() if buffers[other].meets(life))
        size = aligned(life.num_bytes)
        start = _smallest_gap(size, taken)
        spans[name] = (start, start + size)
    return Arena(
        num_bytes=max((end for _, end in spans.values()), default=0),
        offsets={name: start for name, (start, _) in spans.items()},
    )


def _smallest_gap(size: int, taken: Iterable[tuple[int, int]]) -> int:
    """Return where the smallest gap between spans begins that holds ``size``; else their end."""
    gaps, end = [], 0
    for start, stop in sorted(taken):
        if start - end >= size:
            gaps.append((start - end, end))
        end = max(end, stop)
    return min(gaps)[1] if gaps else end
