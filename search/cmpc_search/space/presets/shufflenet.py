"""Spaces of ShuffleNetV2 and Xception-like units: a stem, stages of choice blocks, a head and an
embedding layer.

The general form is that of SPOS (Guo et al., ECCV 2020): the first block of every stage halves the
map, and every block chooses one of four operators and a middle width. SPOS gives each operator
weights of its own, and trains them for 120 epochs of ImageNet; in minutes they don't come to agree
on what the next block reads. So here the operators of a block share theirs:

    kernels    3x3 and 5x5 are the middle of 7x7     (Once-for-All, Cai et al., ICLR 2020)
    operators  the Xception-like unit is the ShuffleNetV2 one with three convolutions more,
               which start as the identity           (Net2Net, Chen et al., ICLR 2016)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from cmpc_search.errors import BadArgument
from cmpc_search.space.base import Architecture, Choice, Space
from cmpc_search.space.operations import Concat, Convolution, Slice
from cmpc_search.space.plan import Plan, PlanDraft, Sharing

__all__ = ["SMALL", "SPOS", "ShuffleNetSpace", "Stage"]

# What keys call the SPOS block codes 0 to 3: three ShuffleNetV2 units, and an Xception-like one.
OPERATORS = ("k3", "k5", "k7", "xc")
XCEPTION = 3
KERNELS = (3, 5, 7, 3)
XCEPTION_ROLES = ("before", "mix", "after")  # what no other operator does


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

    def plan(self, architecture: Architecture) -> Plan:
        """Return stem, units, head and embedding layer as SPOS has them (table 1)."""
        draft = PlanDraft("query", input_size_px=self.input_size_px)
        stem = Convolution(draft.channels(draft.image), self.stem_channels, 3, self.stem_stride)
        features = draft.add(stem, draft.image, name="stem")
        for unit in self._units(architecture):
            features = _add_unit(draft, features, unit)
        head = Convolution(draft.channels(features), self.head_channels)
        features = draft.add(head, features, name="head")
        if self.has_layout_head:
            features = draft.laid_out(features)
        return draft.embedded(features, self.embedding_dim)

    def _units(self, architecture: Architecture) -> Iterator["_Unit"]:
        chosen, number = self.chosen(architecture), 0
        for stage in self.stages:
            for position in range(stage.depth):
                width = float(chosen[f"width_{number:02d}"])
                yield _Unit(
                    name=f"blocks.{number}",
                    operator=int(chosen[f"block_{number:02d}"]),
                    stride=2 if position == 0 else 1,
                    channels=stage.channels,
                    middle=int(stage.channels // 2 * width),
                    is_one_of_several=len(self.operators) > 1,
                )
                number += 1

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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Unit:
    """A choice block with its choice made, as in section 4.1 of SPOS and its official code.

        stride 1:  odd channels  -> main branch -\\
                   even channels -----------------> concatenate
        stride 2:  all channels  -> main branch -\\
                   all channels  -> shortcut -----> concatenate
    """

    name: str
    operator: int
    stride: int
    channels: int
    middle: int
    is_one_of_several: bool

    def main(self, read: int) -> dict[str, Convolution]:
        """Return the main branch by what each convolution does; it reads ``read`` channels.

        The Xception-like unit does what a ShuffleNetV2 unit does, with three more convolutions.
        """
        middle, given = self.middle, self.channels - read
        if self.operator != XCEPTION:
            kernel = KERNELS[self.operator]
            return {
                "expand": Convolution(read, middle),
                "depthwise": _depthwise(middle, kernel, self.stride),
                "project": Convolution(middle, given),
            }
        return {
            "before": _depthwise(read, 3, self.stride),
            "expand": Convolution(read, middle),
            "depthwise": _depthwise(middle, 3),
            "mix": Convolution(middle, middle),
            "after": _depthwise(middle, 3),
            "project": Convolution(middle, given),
        }

    def shortcut(self, read: int) -> list[Convolution]:
        if self.stride == 1:
            return []
        return [_depthwise(read, KERNELS[self.operator], self.stride), Convolution(read, read)]


def _depthwise(channels: int, kernel: int, stride: int = 1) -> Convolution:
    return Convolution(channels, channels, kernel, stride, depthwise=True, activation=None)


def _add_unit(draft: PlanDraft, features: str, unit: _Unit) -> str:
    kept = read = features
    if unit.stride == 1:
        kept, read = (draft.add(Slice(start, step=2), features) for start in (0, 1))
    shortcut = unit.shortcut(draft.channels(kept))
    for number, (role, convolution) in enumerate(unit.main(draft.channels(read)).items()):
        is_extra = unit.is_one_of_several and role in XCEPTION_ROLES
        sharing = Sharing(f"{unit.name}.main.{role}", starts_as_identity=is_extra)
        read = draft.add(convolution, read, name=f"{unit.name}.main.{number}", sharing=sharing)
    kept = draft.chain(kept, shortcut, name=f"{unit.name}.shortcut")
    return draft.add(Concat(), kept, read)


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
