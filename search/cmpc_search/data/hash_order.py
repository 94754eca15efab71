"""Draw names by their hashes: the same answer on every machine, whatever else is there."""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["drawn", "ordered"]


def drawn(
    keys: Sequence[str], purpose: str, share: float, *, least: int, most: int
) -> npt.NDArray[np.int64]:
    """Return the positions of the keys whose hash is below ``share``, filled up or cut by hash."""
    num_below = sum(_hash(purpose, key) < share * 2**256 for key in keys)
    expected = share * len(keys)
    num_drawn = min(max(num_below, round(expected / 2)), round(expected * 3 / 2))
    return ordered(keys, purpose)[: min(max(num_drawn, least), most)]


def ordered(names: Sequence[str], purpose: str) -> npt.NDArray[np.int64]:
    """Return the positions of the names in an order that only they and the purpose decide."""
    hashes = [_hash(purpose, name) for name in names]
    return np.array(sorted(range(len(names)), key=hashes.__getitem__), dtype=np.int64)


def _hash(purpose: str, name: str) -> int:
    """Return a number below 2**256, evenly spread."""
    return int.from_bytes(hashlib.sha256(f"{purpose}/{name}".encode()).digest())
