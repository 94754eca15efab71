"""A space of query networks: a stem, stages of choice blocks, a head and an embedding layer.

The general form is that of SPOS (Guo et al., ECCV 2020): the first block of every stage halves the
map, and every block chooses one of four operators and a middle width. A space is data; the two in
`cmpc_search.space.presets` are examples to copy.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from cmpc_search.errors import BadArgument
from cmpc_search.space.architecture import BLOCK_NAMES, Architecture
from cmpc_search.space.layers import Convolution, NetworkLayers, block_layers

__all__ = ["SearchSpace", "Stage"]


@dataclass(frozen=True, slots=True)
class Stage:
    """``depth`` choice blocks that give ``channels`` channels; the first one has stride 2."""

    channels: int
    depth: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSpace:
    """Every query network that a search may propose.

    Attributes:
        input_size_px: Height and width of the input image.
        stem_channels, stem_stride: The 3x3 convolution that reads the image.
        stages: Widths and depths; a stage's channels must be even, since blocks split them.
        head_channels: Channels of the 1x1 convolution before pooling.
        embedding_dim: Length of the embedding, that of the gallery network.
        has_layout_head: Pool the last map by a global depthwise convolution, which knows places,
            instead of a mean, which does not.
        block_choices, width_choices: What each block chooses from.

    Raises:
        BadArgument: the description makes no network.
    """

    name: str
    input_size_px: int
    stem_channels: int
    stem_stride: int
    stages: tuple[Stage, ...]
    head_channels: int
    embedding_dim: int
    has_layout_head: bool = False
    block_choices: tuple[int, ...] = (0, 1, 2, 3)
    width_choices: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.stages or any(stage.channels % 2 or stage.depth < 1 for stage in self.stages):
            raise BadArgument(
                f"space {self.name!r} must have stages of even width and at least one block, "
                f"got {self.stages}"
            )
        widths = (self.stem_channels, *(stage.channels for stage in self.stages))
        if any(after <= before for before, after in pairwise(widths)):
            raise BadArgument(
                "each stage of a space must be wider than the one before it (a stride-2 block "
                f"keeps its input channels and adds to them), got the widths {widths}"
            )
        self._check_choices()

    @property
    def num_blocks(self) -> int:
        return sum(stage.depth for stage in self.stages)

    @property
    def last_size_px(self) -> int:
        """Size of the map before pooling: stem and stages each divide it, rounding up."""
        size = -(-self.input_size_px // self.stem_stride)
        for _ in self.stages:
            size = -(-size // 2)
        return size

    @property
    def num_architectures(self) -> int:
        return int((len(self.block_choices) * len(self.width_choices)) ** self.num_blocks)

    def sample(self, rng: random.Random) -> Architecture:
        """Draw an architecture uniformly: SPOS' single path."""
        blocks = tuple(rng.choice(self.block_choices) for _ in range(self.num_blocks))
        widths = tuple(rng.choice(self.width_choices) for _ in range(self.num_blocks))
        return Architecture(blocks, widths)

    def check(self, architecture: Architecture) -> None:
        """Raise BadArgument unless ``architecture`` is a point of this space."""
        if len(architecture.blocks) != self.num_blocks:
            raise BadArgument(
                f"an architecture of space {self.name!r} must have {self.num_blocks} blocks, "
                f"got {len(architecture.blocks)} in {architecture.key}"
            )
        if other := set(architecture.blocks) - set(self.block_choices):
            raise BadArgument(
                f"the operators of space {self.name!r} must be among "
                f"{_names(self.block_choices)}, got {_names(sorted(other))}"
            )
        if strange := set(architecture.widths) - set(self.width_choices):
            raise BadArgument(
                f"the widths of space {self.name!r} must be among "
                f"{', '.join(map(str, self.width_choices))}, got {sorted(strange)}"
            )

    def layers(self, architecture: Architecture) -> NetworkLayers:
        """Return every convolution of ``architecture`` with its shape."""
        self.check(architecture)
        choices = iter(zip(architecture.blocks, architecture.widths, strict=True))
        channels, blocks = self.stem_channels, []
        for stage in self.stages:
            for position in range(stage.depth):
                code, width = next(choices)
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

    def macs(self, architecture: Architecture) -> int:
        """Multiply-accumulates of ``architecture`` for one image."""
        return self.layers(architecture).macs

    def uniform(self, code: int, width: float) -> Architecture:
        """Return the architecture with the same choice at every block."""
        return Architecture((code,) * self.num_blocks, (width,) * self.num_blocks)

    def smallest(self) -> Architecture:
        """Return the architecture of the fewest MACs among those with one choice throughout."""
        uniform = [self.uniform(code, min(self.width_choices)) for code in self.block_choices]
        return min(uniform, key=self.macs)

    def _check_choices(self) -> None:
        known = range(len(BLOCK_NAMES))
        if not self.block_choices or not self.width_choices or set(self.block_choices) - set(known):
            raise BadArgument(
                f"space {self.name!r} must have operators among the codes 0..3 and widths as "
                f"choices, got {self.block_choices} and {self.width_choices}"
            )
        narrowest = min(stage.channels for stage in self.stages)
        if int(narrowest // 2 * min(self.width_choices)) < 1:
            raise BadArgument(
                f"every block of space {self.name!r} must have at least one middle channel, the "
                f"width {min(self.width_choices)} leaves none of {narrowest} channels"
            )


def _names(codes: Iterable[int]) -> str:
    return ", ".join(BLOCK_NAMES[code] for code in codes)
