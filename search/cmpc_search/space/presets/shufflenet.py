"""Spaces of ShuffleNetV2 and Xception-like units: a stem, stages of choice blocks, a head and an
embedding layer.

The general form is that of SPOS (Guo et al., ECCV 2020): the first block of every stage halves the
map, and every block chooses one of four operators and a middle width. SPOS gives each operator
weights of its own, and trains them for 120 epochs of ImageNet; in minutes they don't come to agree
on what the next block reads. So here the operators of a block share theirs:

    kernels    3x3 and 5x5 are the middle of 7x7     (Once-for-All, Cai et al., ICLR 2020)
    operators  the Xception-like unit is the ShuffleNetV2 one with three convolutions more,
               which start as the identity           (Net2Net, Chen et al., ICLR 2016)

A space may also choose the size of the image, stride and width of the stem, how many of its blocks
each stage has (its first ones), and the width of the head. Its keys have words for these:

    r48s1c8-d2-k3w1.0-k5w0.6-d1-k7w0.4-x-h128
    '-----' '---------------' '---------' '--'
    image,   first stage       second,     head
    stem                       one block left out
"""

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from cmpc_search.errors import BadArgument
from cmpc_search.space.base import Architecture, Choice, Option, Space
from cmpc_search.space.operations import Convolution
from cmpc_search.space.plan import Plan, PlanDraft
from cmpc_search.space.shuffle_units import OPERATORS, ShuffleUnit

__all__ = ["ELASTIC", "SMALL", "SPOS", "ShuffleNetSpace", "Stage"]


@dataclass(frozen=True, slots=True)
class Stage:
    """``depth`` choice blocks that give ``channels`` channels; the first one has stride 2.

    With a ``least_depth`` an architecture chooses how many of them it has.
    """

    channels: int
    depth: int
    least_depth: int | None = None

    @property
    def depths(self) -> tuple[int, ...]:
        return tuple(range(self.least_depth or self.depth, self.depth + 1))


@dataclass(frozen=True, kw_only=True)
class ShuffleNetSpace(Space):
    """A space of ShuffleNetV2 shape; what may be chosen is a tuple of options, in rising order.

    Attributes:
        smaller_inputs_px: Sizes of the image to choose from beside ``input_size_px``; those that
            are not smaller don't count.
        stem_channels, stem_strides: Of the 3x3 convolution that reads the image.
        stages: Widths and depths; a stage's channels must be even, since blocks split them.
        head_channels: Of the 1x1 convolution before pooling.
        has_layout_head: Pool the last map by a global depthwise convolution, which knows places,
            instead of a mean, which does not.
        operators: What each block chooses from, by SPOS block code: 0, 1, 2 are ShuffleNetV2 units
            with 3x3, 5x5 and 7x7 depthwise convolutions, 3 is the Xception-like unit.
        widths: What else it chooses from; its middle width is ``int(channels // 2 * width)``.

    Raises:
        BadArgument: the description makes no network.
    """

    smaller_inputs_px: tuple[int, ...] = ()
    stem_channels: tuple[int, ...]
    stem_strides: tuple[int, ...]
    stages: tuple[Stage, ...]
    head_channels: tuple[int, ...]
    has_layout_head: bool = False
    operators: tuple[int, ...] = (0, 1, 2, 3)
    widths: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.stages or any(
            stage.channels % 2 or min(stage.depths, default=0) < 1 for stage in self.stages
        ):
            raise BadArgument(
                f"space {self.name!r} must have stages of even width and at least one block, "
                f"got {self.stages}"
            )
        self._check_choices()
        channels = (max(self.stem_channels), *(stage.channels for stage in self.stages))
        if any(after <= before for before, after in pairwise(channels)):
            raise BadArgument(
                "each stage of a space must be wider than the one before it (a stride-2 block "
                f"keeps its input channels and adds to them), got the widths {channels}"
            )

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """Image and stem; of each stage its depth, then operator and width of each block; head.

        Of image, stem, depths and head, what has one option is no choice.
        """
        parts = [
            [
                _numbers("input", "r", self._input_sizes_px),
                _numbers("stem_stride", "s", self.stem_strides),
                _numbers("stem_width", "c", self.stem_channels),
            ]
        ]
        for number, (stage, blocks) in enumerate(self._numbered_stages):
            parts.append([_numbers(f"depth_{number}", "d", stage.depths)])
            parts += [self._block_choices(at) for at in blocks]
        parts.append([_numbers("head_width", "h", self.head_channels)])
        made = [[choice for choice in part if choice is not None] for part in parts]
        return tuple(
            replace(choice, block=block)
            for block, part in enumerate(filter(None, made))
            for choice in part
        )

    @property
    def num_architectures(self) -> int:
        outcomes = len(self.operators) * len(self.widths)
        stages = (sum(int(outcomes**depth) for depth in stage.depths) for stage in self.stages)
        around = (self._input_sizes_px, self.stem_strides, self.stem_channels, self.head_channels)
        return math.prod(stages) * math.prod(len(options) for options in around)

    def idle_blocks(self, options: Sequence[int]) -> Set[int]:
        """Return the blocks beyond the depths of their stages."""
        return {
            block
            for depth_at, depths, blocks in self._depth_choices
            for block in blocks[depths[options[depth_at]] :]
        }

    def plan(self, architecture: Architecture) -> Plan:
        """Return stem, units, head and embedding layer as SPOS has them (table 1)."""
        chosen = self.chosen(architecture)
        size, stride, channels, head = (
            int(chosen.get(name, options[-1]))
            for name, options in (
                ("input", self._input_sizes_px),
                ("stem_stride", self.stem_strides),
                ("stem_width", self.stem_channels),
                ("head_width", self.head_channels),
            )
        )
        draft = PlanDraft("query", input_size_px=size)
        stem = Convolution(draft.channels(draft.image), channels, 3, stride)
        features = draft.add(stem, draft.image, name="stem")
        for unit in self._units(chosen):
            features = unit.add_to(draft, features)
        features = draft.add(Convolution(draft.channels(features), head), features, name="head")
        if self.has_layout_head:
            features = draft.laid_out(features)
        return draft.embedded(features, self.embedding_dim)

    def _units(self, chosen: Mapping[str, Option]) -> Iterator[ShuffleUnit]:
        for number, (stage, blocks) in enumerate(self._numbered_stages):
            depth = int(chosen.get(f"depth_{number}", stage.depth))
            for at in blocks[:depth]:
                yield ShuffleUnit(
                    name=f"blocks.{at}",
                    operator=int(chosen[f"block_{at:02d}"]),
                    stride=2 if at == blocks[0] else 1,
                    channels=stage.channels,
                    middle=int(stage.channels // 2 * float(chosen[f"width_{at:02d}"])),
                    is_one_of_several=len(self.operators) > 1,
                )

    @property
    def _input_sizes_px(self) -> tuple[int, ...]:
        smaller = {size for size in self.smaller_inputs_px if size < self.input_size_px}
        return (*sorted(smaller), self.input_size_px)

    @property
    def _numbered_stages(self) -> Iterator[tuple[Stage, range]]:
        """Yield each stage with the numbers of its blocks."""
        first = 0
        for stage in self.stages:
            yield stage, range(first, first + stage.depth)
            first += stage.depth

    @cached_property
    def _depth_choices(self) -> list[tuple[int, tuple[int, ...], list[int]]]:
        """For each stage with a choice of depth: its position, the depths, and the blocks."""
        places = {choice.name: at for at, choice in enumerate(self.choices)}
        return [
            (
                places[f"depth_{number}"],
                stage.depths,
                [self.choices[places[f"block_{at:02d}"]].block for at in blocks],
            )
            for number, (stage, blocks) in enumerate(self._numbered_stages)
            if len(stage.depths) > 1
        ]

    def _block_choices(self, at: int) -> list[Choice | None]:
        names = tuple(OPERATORS[code] for code in self.operators)
        factors = tuple(f"w{float(width)}" for width in self.widths)
        return [
            Choice(name=f"block_{at:02d}", options=self.operators, words=names, block=at),
            Choice(name=f"width_{at:02d}", options=self.widths, words=factors, block=at),
        ]

    def _check_choices(self) -> None:
        known = range(len(OPERATORS))
        if not self.operators or not self.widths or set(self.operators) - set(known):
            raise BadArgument(
                f"space {self.name!r} must have operators among the codes 0..3 and widths as "
                f"choices, got {self.operators} and {self.widths}"
            )
        around = (self.stem_channels, self.stem_strides, self.head_channels)
        if not all(around):
            raise BadArgument(
                f"space {self.name!r} must have options for the channels and strides of its stem "
                f"and the channels of its head, got {around}"
            )
        narrowest = min(stage.channels for stage in self.stages)
        if int(narrowest // 2 * min(self.widths)) < 1:
            raise BadArgument(
                f"every block of space {self.name!r} must have at least one middle channel, the "
                f"width {min(self.widths)} leaves none of {narrowest} channels"
            )


def _numbers(name: str, letter: str, options: tuple[int, ...]) -> Choice | None:
    """Return the choice of a number, if there is one."""
    words = tuple(f"{letter}{option}" for option in options)
    return Choice(name=name, options=options, words=words, block=0) if len(options) > 1 else None


# As published (Guo et al., ECCV 2020, table 1): 20 blocks, 224 px. The channel choice is that of
# its released block-and-channel network, factors 0.2 to 1.6.
SPOS = ShuffleNetSpace(
    name="spos",
    input_size_px=224,
    stem_channels=(16,),
    stem_strides=(2,),
    stages=(Stage(64, 4), Stage(160, 4), Stage(320, 8), Stage(640, 4)),
    head_channels=(1024,),
    embedding_dim=128,
    widths=(0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6),
)

# The same shape for small images: 3 to 6 blocks, a narrow stem, and full resolution nowhere, since
# that is what costs. An image of 64 px whose stem halves it costs what one of 32 px costs whose
# stem does not, and shows more. Shallow networks learn in minutes what deep ones don't: after 600
# steps three blocks of 2.6 MMAC had a mAP of 0.444 on validation classes, eight of 3.9 MMAC 0.419.
SMALL = ShuffleNetSpace(
    name="small",
    input_size_px=64,
    stem_channels=(4, 8, 16),
    stem_strides=(2,),
    stages=(Stage(32, 2, least_depth=1), Stage(80, 2, least_depth=1), Stage(160, 2, least_depth=1)),
    head_channels=(60, 120, 240, 480),
    embedding_dim=128,
    has_layout_head=True,
    widths=(0.2, 0.4, 0.6, 0.8, 1.0, 1.2),
)

# From 0.1 to 40 million MACs: size of the image, stem, depths and head are choices too. A supernet
# of so many unlike networks wants to be trained for long: after 1,700 steps at a rate of 3e-3 the
# best reward of a search was 0.005, where that of `small` was 0.059. At today's rate, with which
# `small` reaches twice that, nobody has tried it.
ELASTIC = ShuffleNetSpace(
    name="elastic",
    input_size_px=96,
    smaller_inputs_px=(32, 48, 64),
    stem_channels=(4, 8, 16),
    stem_strides=(1, 2),
    stages=(Stage(24, 2, least_depth=1), Stage(64, 4, least_depth=1), Stage(128, 4, least_depth=1)),
    head_channels=(64, 128, 192),
    embedding_dim=128,
    has_layout_head=True,
    widths=(0.2, 0.4, 0.6, 0.8, 1.0, 1.2),
)
