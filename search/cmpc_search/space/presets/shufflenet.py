"""Spaces of ShuffleNetV2 and Xception-like units: a stem, stages of choice blocks, a head and an
embedding layer.

The general form is that of SPOS (Guo et al., ECCV 2020): the first block of every stage halves the
map, and every block chooses one of four operators and a middle width.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from cmpc_search.errors import BadArgument
from cmpc_search.space.base import Architecture, Choice, Space
from cmpc_search.space.layers import Convolution, NetworkLayers, block_layers

__all__ = ["SMALL", "SPOS", "ShuffleNetSpace", "Stage"]

# What keys call the SPOS block codes 0 to 3: three ShuffleNetV2 units, and an Xception-like one.
OPERATORS = ("k3", "k5", "k7", "xc")


@dataclass(frozen=True, slots=True)
class Stage:
    """``depth`` choice blocks that give ``channels`` channels; the first one has stride 2."""

    channels: int
    depth: int


@dataclass(frozen=True, kw_only=True)
class ShuffleNetSpace(Space):
    """A space of ShuffleNetV2 shape.

    Attributes:
        stem_channels, stem_stride: The 3x3 convolution that reads the image.
        stages: Widths and depths; a stage's channels must be even, since blocks split them.
        head_channels: Channels of the 1x1 convolution before pooling.
        has_layout_head: Pool the last map by a global depthwise convolution, which knows places,
            instead of a mean, which does not.
        operators: What each block chooses from, by SPOS block code: 0, 1, 2 are ShuffleNetV2 units
            with 3x3, 5x5 and 7x7 depthwise convolutions, 3 is the Xception-like unit.
        widths: What else it chooses from; its middle width is ``int(channels // 2 * width)``.

    Raises:
        BadArgument: the description makes no network.
    """

    stem_channels: int
    stem_stride: int
    stages: tuple[Stage, ...]
    head_channels: int
    has_layout_head: bool = False
    operators: tuple[int, ...] = (0, 1, 2, 3)
    widths: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.stages or any(stage.channels % 2 or stage.depth < 1 for stage in self.stages):
            raise BadArgument(
                f"space {self.name!r} must have stages of even width and at least one block, "
                f"got {self.stages}"
            )
        channels = (self.stem_channels, *(stage.channels for stage in self.stages))
        if any(after <= before for before, after in pairwise(channels)):
            raise BadArgument(
                "each stage of a space must be wider than the one before it (a stride-2 block "
                f"keeps its input channels and adds to them), got the widths {channels}"
            )
        self._check_choices()

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """The operators of all blocks, then their widths."""
        numbers = range(sum(stage.depth for stage in self.stages))
        names = tuple(OPERATORS[code] for code in self.operators)
        factors = tuple(f"w{float(width)}" for width in self.widths)
        return (
            *(
                Choice(name=f"block_{at:02d}", options=self.operators, words=names, block=at)
                for at in numbers
            ),
            *(
                Choice(name=f"width_{at:02d}", options=self.widths, words=factors, block=at)
                for at in numbers
            ),
        )

    @property
    def last_size_px(self) -> int:
        """Size of the map before pooling: stem and stages each divide it, rounding up."""
        size = -(-self.input_size_px // self.stem_stride)
        for _ in self.stages:
            size = -(-size // 2)
        return size

    def units(self, architecture: Architecture) -> Iterator[tuple[int, float]]:
        """Yield operator and width of each block."""
        chosen = self.chosen(architecture)
        for at in range(len(self.blocks)):
            yield int(chosen[f"block_{at:02d}"]), float(chosen[f"width_{at:02d}"])

    def layers(self, architecture: Architecture) -> NetworkLayers:
        units = self.units(architecture)
        channels, blocks = self.stem_channels, []
        for stage in self.stages:
            for position in range(stage.depth):
                code, width = next(units)
                stride = 2 if position == 0 else 1
                read = channels if stride == 2 else stage.channels // 2
                middle = int(stage.channels // 2 * width)
                blocks.append(block_layers(code, read, stage.channels, middle, stride=stride))
            channels = stage.channels
        layout = Convolution.over_whole_map(self.head_channels, self.last_size_px)
        return NetworkLayers(
            input_size_px=self.input_size_px,
            stem=Convolution(3, self.stem_channels, 3, self.stem_stride),
            blocks=tuple(blocks),
            head=Convolution(channels, self.head_channels),
            layout=layout if self.has_layout_head else None,
            embedding_dim=self.embedding_dim,
        )

    def _check_choices(self) -> None:
        known = range(len(OPERATORS))
        if not self.operators or not self.widths or set(self.operators) - set(known):
            raise BadArgument(
                f"space {self.name!r} must have operators among the codes 0..3 and widths as "
                f"choices, got {self.operators} and {self.widths}"
            )
        narrowest = min(stage.channels for stage in self.stages)
        if int(narrowest // 2 * min(self.widths)) < 1:
            raise BadArgument(
                f"every block of space {self.name!r} must have at least one middle channel, the "
                f"width {min(self.widths)} leaves none of {narrowest} channels"
            )


# As published (Guo et al., ECCV 2020, table 1): 20 blocks, 224 px. The channel choice is that of
# its released block-and-channel network, factors 0.2 to 1.6.
SPOS = ShuffleNetSpace(
    name="spos",
    input_size_px=224,
    stem_channels=16,
    stem_stride=2,
    stages=(Stage(64, 4), Stage(160, 4), Stage(320, 8), Stage(640, 4)),
    head_channels=1024,
    embedding_dim=128,
    widths=(0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6),
)

# The same shape for small images: 8 blocks at 32 px. The map is halved late and the stem is narrow,
# since at this size detail is what there is and full resolution is what costs.
SMALL = ShuffleNetSpace(
    name="small",
    input_size_px=32,
    stem_channels=8,
    stem_stride=1,
    stages=(Stage(24, 2), Stage(64, 3), Stage(128, 3)),
    head_channels=192,
    embedding_dim=128,
    has_layout_head=True,
    widths=(0.2, 0.4, 0.6, 0.8, 1.0, 1.2),
)
