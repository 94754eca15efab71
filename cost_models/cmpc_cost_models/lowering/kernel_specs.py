"""Which kernels do our networks consist of? One record for each kind, free of TVM.

Feature maps are stored pixel by pixel with their channels together (NHWC, batch 1), so that the
channels fill vectors whatever the size of the map. A map may be stored with a border of zeros: its
producer writes the border, and the convolution that reads it needs no padding of its own.

A view reads every ``step``-th channel from ``start``: slicing costs nothing.
"""

from dataclasses import dataclass

__all__ = [
    "Affine",
    "Concat",
    "Convolution",
    "GlobalMean",
    "ImageToMap",
    "KernelSpec",
    "Map",
    "MaxPool",
    "Normalise",
    "View",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Map:
    """How one feature map lies in memory, as one flat float32 buffer."""

    height: int
    width: int
    channels: int
    border: int = 0

    @property
    def row(self) -> int:
        """Numbers from one row to the next."""
        return (self.width + 2 * self.border) * self.channels

    @property
    def size(self) -> int:
        return (self.height + 2 * self.border) * self.row


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


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageToMap:
    """Bring the network's NCHW input into our order."""

    target: Map


@dataclass(frozen=True, kw_only=True, slots=True)
class Affine:
    """``source * scale + shift (+ residual)``, then ReLU if wanted; buffers: scale, shift."""

    source: View
    target: Map
    residual: View | None = None
    relu: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Convolution:
    """A dense or depthwise convolution, its bias, residual, ReLU and the concatenation after it.

    Attributes:
        kept: What the result is concatenated to; ``target`` holds its channels first.
    """

    source: View
    target: Map
    kernel: tuple[int, int]
    stride: int
    padding: int
    is_depthwise: bool
    residual: View | None = None
    kept: View | None = None
    relu: bool = False

    @property
    def out_channels(self) -> int:
        return self.target.channels - (self.kept.channels if self.kept else 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Concat:
    """Views side by side."""

    sources: tuple[View, ...]
    target: Map


@dataclass(frozen=True, kw_only=True, slots=True)
class MaxPool:
    """The largest of each window; windows over the edge see what is inside."""

    source: View
    target: Map
    kernel: int
    stride: int
    padding: int


@dataclass(frozen=True, kw_only=True, slots=True)
class GlobalMean:
    """The mean over all pixels."""

    source: View
    target: Map


@dataclass(frozen=True, kw_only=True, slots=True)
class Normalise:
    """Divide a vector by its length, or by ``smallest`` if that is longer."""

    source: View
    target: Map
    smallest: float


KernelSpec = Affine | Concat | Convolution | GlobalMean | ImageToMap | MaxPool | Normalise
