"""The operations that networks are made of, as shapes alone: no weights, no library.

A value between two operations is a square map of features, or a vector, which counts as a map of
one pixel. What one *is* in torch and in ONNX say `cmpc_search.networks.plan_network` and
`cmpc_search.networks.onnx_export`.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Activate",
    "Activation",
    "Add",
    "Affine",
    "Concat",
    "Convolution",
    "Features",
    "Linear",
    "MaxPool",
    "Mean",
    "Normalise",
    "Operation",
    "Slice",
]

Activation = Literal["relu", "relu6"]


@dataclass(frozen=True, slots=True)
class Features:
    """The shape of a value for one image: ``channels`` maps of ``size_px`` x ``size_px``."""

    channels: int
    size_px: int


@dataclass(frozen=True, slots=True)
class Convolution:
    """A bias-free convolution, its batch norm, and an activation if one is named.

    Its padding keeps the map's size (at stride 1), unless ``is_global`` holds: then the kernel
    covers the whole map and one pixel comes out. With ``starts_at_zero`` the fresh batch norm
    gives nothing, so that a residual block starts as the identity (Goyal et al., 2017). With
    ``pads_as_tensorflow`` a stride leaves out padding before the map first, as weights expect that
    were trained there.
    """

    in_channels: int
    out_channels: int
    kernel: int = 1
    stride: int = 1
    depthwise: bool = False
    activation: Activation | None = "relu"
    is_global: bool = False
    starts_at_zero: bool = False
    pads_as_tensorflow: bool = False

    def padding(self, size_px: int) -> tuple[int, int]:
        """Return the pixels of padding before and after a map of this size."""
        if self.is_global:
            return 0, 0
        if not self.pads_as_tensorflow:
            return self.kernel // 2, self.kernel // 2
        last_window = (size_px - 1) // self.stride * self.stride
        missing = max(last_window + self.kernel - size_px, 0)
        return missing // 2, missing - missing // 2

    @property
    def groups(self) -> int:
        return self.in_channels if self.depthwise else 1

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """[O, I / groups, kH, kW]."""
        return (self.out_channels, self.in_channels // self.groups, self.kernel, self.kernel)

    def out(self, features: Features) -> Features:
        assert features.channels == self.in_channels, "a convolution reads all channels it is given"
        padded = features.size_px + sum(self.padding(features.size_px))
        return Features(self.out_channels, (padded - self.kernel) // self.stride + 1)


@dataclass(frozen=True, slots=True)
class Linear:
    """A bias-free product of a vector with a matrix, and its batch norm.

    The batch norm centres embeddings: averages of ReLUs are all positive, so without it all images
    start out in one narrow cone and training is slow to leave it. Folded, it costs nothing but a
    bias.
    """

    in_channels: int
    out_channels: int

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """[O, I]."""
        return (self.out_channels, self.in_channels)

    def out(self, features: Features) -> Features:
        assert features == Features(self.in_channels, 1), "a matrix reads a vector of its length"
        return Features(self.out_channels, 1)


@dataclass(frozen=True, slots=True)
class Slice:
    """Every ``step``-th channel from ``start`` on.

    Even and odd channels taken apart are the channel shuffle of ShuffleNetV2 and its split in one.
    """

    start: int
    step: int

    def out(self, features: Features) -> Features:
        return Features(len(range(self.start, features.channels, self.step)), features.size_px)


@dataclass(frozen=True, slots=True)
class Concat:
    """The channels of one value after those of another."""

    def out(self, *features: Features) -> Features:
        assert len({one.size_px for one in features}) == 1, "maps of one size lie side by side"
        return Features(sum(one.channels for one in features), features[0].size_px)


@dataclass(frozen=True, slots=True)
class Add:
    """The sum of two values."""

    def out(self, left: Features, right: Features) -> Features:
        assert left == right, "what is added has one shape"
        return left


@dataclass(frozen=True, slots=True)
class Activate:
    """An activation on its own, such as after a sum."""

    kind: Activation

    def out(self, features: Features) -> Features:
        return features


@dataclass(frozen=True, slots=True)
class Affine:
    """``scale * value + shift``, with the same two numbers for all channels."""

    scale: float
    shift: float

    def out(self, features: Features) -> Features:
        return features


@dataclass(frozen=True, slots=True)
class MaxPool:
    """The greatest value of each ``kernel`` x ``kernel`` window."""

    kernel: int
    stride: int
    padding: int

    def out(self, features: Features) -> Features:
        size = (features.size_px + 2 * self.padding - self.kernel) // self.stride + 1
        return Features(features.channels, size)


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean over all pixels: maps become a vector."""

    def out(self, features: Features) -> Features:
        return Features(features.channels, 1)


@dataclass(frozen=True, slots=True)
class Normalise:
    """A vector divided by its length."""

    def out(self, features: Features) -> Features:
        return features


Operation = (
    Convolution | Linear | Slice | Concat | Add | Activate | Affine | MaxPool | Mean | Normalise
)
