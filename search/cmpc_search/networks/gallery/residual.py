"""Residual networks, from a small one for 64 px up to ResNet-101.

Basic and bottleneck blocks as in He et al., CVPR 2016 (table 1); a bottleneck's stride sits in its
first 1x1 convolution, as printed there, so ResNet-101 counts to the 7.6 GMAC of the CMP-NAS
paragon. A wide, shallow one suits small images.
"""

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from cmpc_search.errors import BadArgument
from cmpc_search.networks.gallery.base import Count, GalleryShape
from cmpc_search.space.operations import Activate, Add, Convolution, MaxPool
from cmpc_search.space.plan import PlanDraft

__all__ = [
    "RESIDUAL_SMALL",
    "RESNET18",
    "RESNET50",
    "RESNET101",
    "ResidualShape",
]

BOTTLENECK_EXPANSION = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class ResidualShape(GalleryShape):
    """Depth and width of a residual network.

    Attributes:
        depths: Blocks of each stage; every stage but the first halves the map.
        width: Channels of the first stage (before the bottleneck's expansion); doubled each stage.
        is_bottleneck: 1x1-3x3-1x1 blocks instead of two 3x3.
        has_large_stem: The ImageNet stem, 7x7 stride 2 and a pool; else one 3x3.
        stem_stride: Stride of the 3x3 stem.
        has_layout_head: Pool the last map by a global depthwise convolution instead of a mean.
    """

    depths: Annotated[tuple[Annotated[int, Field(ge=1, le=1000)], ...], Field(min_length=1)]
    width: Count
    is_bottleneck: bool = False
    has_large_stem: bool = False
    stem_stride: Annotated[int, Field(ge=1, le=16)] = 2
    has_layout_head: bool = False

    def __post_init__(self) -> None:
        if not self.depths or min(self.depths) < 1 or self.width < 1:
            raise BadArgument(
                "a residual network must have at least one block a stage and a positive width, "
                f"got depths {self.depths} and width {self.width}"
            )

    @property
    def is_dense(self) -> bool:
        return True

    def add_backbone(self, draft: PlanDraft) -> str:
        """Append stem and blocks."""
        kernel, stride = (7, 2) if self.has_large_stem else (3, self.stem_stride)
        stem = Convolution(draft.channels(draft.image), self.width, kernel, stride)
        features = draft.add(stem, draft.image, name="stem")
        if self.has_large_stem:
            features = draft.add(MaxPool(3, 2, 1), features)
        strides = [
            2 if stage > 0 and position == 0 else 1
            for stage, depth in enumerate(self.depths)
            for position in range(depth)
        ]
        width = self.width
        for number, stride in enumerate(strides):
            width *= stride
            block = ResidualBlock(f"blocks.{number}", width, stride, self.is_bottleneck)
            features = block.add_to(draft, features)
        return draft.laid_out(features) if self.has_layout_head else features


@dataclass(frozen=True, slots=True)
class ResidualBlock:
    """``relu(branch(x) + shortcut(x))``; each halving of the map doubles the width."""

    name: str
    width: int
    stride: int
    is_bottleneck: bool

    def add_to(self, draft: PlanDraft, features: str) -> str:
        """Append the block to ``draft`` and return what it gives."""
        given = draft.channels(features)
        branch = self._branch(given)
        out_channels = branch[-1].out_channels
        added, kept = draft.chain(features, branch, name=f"{self.name}.branch"), features
        if self.stride != 1 or given != out_channels:
            shortcut = Convolution(given, out_channels, 1, self.stride, activation=None)
            kept = draft.add(shortcut, features, name=f"{self.name}.shortcut")
        return draft.add(Activate("relu"), draft.add(Add(), added, kept))

    def _branch(self, read: int) -> list[Convolution]:
        width, stride = self.width, self.stride
        if not self.is_bottleneck:
            return [Convolution(read, width, 3, stride), _last(width, width, 3)]
        return [
            Convolution(read, width, 1, stride),
            Convolution(width, width, 3),
            _last(width, width * BOTTLENECK_EXPANSION, 1),
        ]


def _last(read: int, given: int, kernel: int) -> Convolution:
    return Convolution(read, given, kernel, activation=None, starts_at_zero=True)


# Wide and shallow at half the resolution: on a CPU its MACs cost a quarter of the time of the same
# number spent on narrow layers at full resolution.
RESIDUAL_SMALL = ResidualShape(
    name="residual-small", input_size_px=64, depths=(2, 2, 2), width=64, has_layout_head=True
)
RESNET18 = ResidualShape(
    name="resnet18", input_size_px=224, depths=(2, 2, 2, 2), width=64, has_large_stem=True
)
RESNET50 = ResidualShape(
    name="resnet50",
    input_size_px=224,
    depths=(3, 4, 6, 3),
    width=64,
    is_bottleneck=True,
    has_large_stem=True,
)
RESNET101 = replace(RESNET50, name="resnet101", depths=(3, 4, 23, 3))
