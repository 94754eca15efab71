"""How does a feature map lie in memory, and what of it does a kernel read?

Maps are stored pixel by pixel with their channels together (NHWC, one image), so that the channels
fill vectors whatever the size of the map. A map may be stored with a border of zeros: its producer
writes the border, and the convolution that reads it needs no padding of its own.

A view reads every ``step``-th channel from ``start``: slicing costs nothing.
"""

from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["KERNEL_DTYPES", "DType", "Map", "View"]

DType = Literal["bfloat16", "float16", "float32", "int8"]
NUM_BYTES: dict[DType, int] = {"bfloat16": 2, "float16": 2, "float32": 4, "int8": 1}
KERNEL_DTYPES: tuple[DType, ...] = ("float32",)
"""Of which types there are maps that kernels read and write."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Map:
    """How one feature map lies in memory, as one flat buffer of numbers.

    Attributes:
        border: Rows and columns of zeros on each side.
        dtype: The type of its numbers.
    """

    height: int
    width: int
    channels: int
    border: int = 0
    dtype: DType = "float32"

    @property
    def row(self) -> int:
        """Numbers from one row to the next."""
        return (self.width + 2 * self.border) * self.channels

    @property
    def size(self) -> int:
        """Numbers in all, with the border."""
        return (self.height + 2 * self.border) * self.row

    @property
    def bytes_per_number(self) -> int:
        return NUM_BYTES[self.dtype]

    @classmethod
    def vector(cls, channels: int) -> "Map":
        return cls(height=1, width=1, channels=channels)


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """Channels ``start``, ``start + step``, ... of a map, ``channels`` of them."""

    map: Map
    start: int
    step: int
    channels: int

    @classmethod
    def whole(cls, whole: Map) -> "View":
        return cls(map=whole, start=0, step=1, channels=whole.channels)

    @property
    def alone(self) -> Map:
        """The map that holds what it reads and nothing else."""
        return replace(self.map, channels=self.channels, border=0)

    @property
    def size(self) -> int:
        """Numbers that it reads: of pixels, without the border."""
        return self.map.height * self.map.width * self.channels
