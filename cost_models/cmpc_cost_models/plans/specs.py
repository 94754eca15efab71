"""Which kernels do networks consist of? One record for each kind, free of TVM.

What they read and write lies in memory as ``maps`` says. Each has a ``target``, the map that it
fills; what it reads are its fields that are views.
"""

from dataclasses import dataclass
from typing import Literal

from cmpc_cost_models.plans.maps import Map, View

__all__ = [
    "RELU",
    "Activation",
    "ActivationKind",
    "Affine",
    "Binary",
    "Concat",
    "Convolution",
    "GlobalMean",
    "ImageToMap",
    "KernelSpec",
    "LocalNorm",
    "MapToImage",
    "MaxPool",
    "MeanPool",
    "Normalise",
    "Pad",
    "Resize",
    "Shuffle",
    "Softmax",
    "Window",
]

ActivationKind = Literal[
    "abs",
    "clip",
    "elu",
    "erf",
    "exp",
    "gelu",
    "hard_sigmoid",
    "hard_swish",
    "leaky",
    "log",
    "neg",
    "reciprocal",
    "relu",
    "sigmoid",
    "softplus",
    "sqrt",
    "swish",
    "tanh",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Activation:
    """A function of each number on its own, e.g. a ReLU.

    Attributes:
        alpha, beta: ``clip``: lowest and highest; ``leaky``: slope below zero; ``elu``: scale below
            zero; ``hard_sigmoid``: slope and offset; ``swish``: factor inside the sigmoid.
            The others have none.
    """

    kind: ActivationKind
    alpha: float = 0.0
    beta: float = 0.0


RELU = Activation(kind="relu")


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """What a result's pixel sees of the source: ``kernel`` taps, ``dilations`` apart.

    Attributes:
        pads: Rows above and columns left of the map that the first window covers; how far the last
            one reaches over the far edges follows from the target's size.
    """

    kernel: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int] = (0, 0)
    dilations: tuple[int, int] = (1, 1)

    @property
    def num_taps(self) -> int:
        return self.kernel[0] * self.kernel[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageToMap:
    """Bring one image of an NCHW tensor [batch, C, H, W] into our order."""

    target: Map
    batch: int = 1
    index: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class MapToImage:
    """Bring a map into ONNX's order [C, H, W]; the target is a vector of all its numbers."""

    source: View

    @property
    def target(self) -> Map:
        whole = self.source.map
        num_numbers = self.source.channels * whole.height * whole.width
        return Map(height=1, width=1, channels=num_numbers, dtype=whole.dtype)


@dataclass(frozen=True, kw_only=True, slots=True)
class Affine:
    """``source * scale + shift (+ residual)``, then activation; buffers: scale, shift.

    Attributes:
        has_slopes: Whether a third buffer holds each channel's slope below zero (PReLU).
    """

    source: View
    target: Map
    residual: View | None = None
    activation: Activation | None = None
    has_slopes: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Binary:
    """``left OP right``; either may be one pixel or have one channel, and is then repeated."""

    operator: Literal["add", "div", "max", "min", "mul", "pow", "sub"]
    left: View
    right: View
    target: Map
    activation: Activation | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Convolution:
    """A convolution, its bias, residual, activation and the concatenation after it.

    Dense, grouped or depthwise; a dense layer is one of 1 x 1 on one pixel.

    Attributes:
        window: The source's border is at least as wide as it reaches out on any side.
        kept: What the result is concatenated to; ``target`` holds its channels first.
    """

    source: View
    target: Map
    window: Window = Window()
    groups: int = 1
    residual: View | None = None
    kept: View | None = None
    activation: Activation | None = None

    @property
    def out_channels(self) -> int:
        return self.target.channels - (self.kept.channels if self.kept else 0)

    @property
    def macs(self) -> int:
        """Multiply-adds of one call: each result is one inner product."""
        num_results = self.target.height * self.target.width * self.out_channels
        return num_results * self.window.num_taps * self.depth

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel has a filter of its own, so that vectors of channels work."""
        return 1 < self.groups == self.source.channels == self.out_channels

    @property
    def depth(self) -> int:
        """Input channels that one output channel reads."""
        return self.source.channels // self.groups

    @property
    def group_channels(self) -> int:
        """Neighbouring output channels that one tile may hold: those of one group."""
        return self.out_channels if self.is_depthwise else self.out_channels // self.groups


@dataclass(frozen=True, kw_only=True, slots=True)
class Concat:
    """Views side by side."""

    sources: tuple[View, ...]
    target: Map


@dataclass(frozen=True, kw_only=True, slots=True)
class Shuffle:
    """Deal the channels of ``groups`` consecutive groups out in turn (ShuffleNet)."""

    source: View
    target: Map
    groups: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Pad:
    """The source with ``fill`` around it; its first pixel lands on ``offset`` = (row, column)."""

    source: View
    target: Map
    offset: tuple[int, int]
    fill: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Resize:
    """Each pixel repeated ``factors`` = (rows, columns) times: nearest neighbour, enlarging."""

    source: View
    target: Map
    factors: tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class MaxPool:
    """The largest of each window; windows over the edge see what is inside.

    Whether a NaN wins depends on its place in the window, as in ONNX Runtime.
    """

    source: View
    target: Map
    window: Window


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanPool:
    """The mean of each window; the source has zeros around it as far as windows reach.

    Attributes:
        counted: First and last-but-one row, and column, that count: what divides the sum.
    """

    source: View
    target: Map
    window: Window
    counted: tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, kw_only=True, slots=True)
class GlobalMean:
    """The mean over all pixels, or the largest."""

    source: View
    target: Map
    is_max: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalNorm:
    """Local response normalisation over ``size`` neighbouring channels (AlexNet, section 3.3)."""

    source: View
    target: Map
    size: int
    alpha: float
    beta: float
    bias: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Softmax:
    """Softmax over the channels of each pixel."""

    source: View
    target: Map


@dataclass(frozen=True, kw_only=True, slots=True)
class Normalise:
    """Divide a vector by its length, or by ``smallest`` if that is longer."""

    source: View
    target: Map
    smallest: float


KernelSpec = (
    Affine
    | Binary
    | Concat
    | Convolution
    | GlobalMean
    | ImageToMap
    | LocalNorm
    | MapToImage
    | MaxPool
    | MeanPool
    | Normalise
    | Pad
    | Resize
    | Shuffle
    | Softmax
)
