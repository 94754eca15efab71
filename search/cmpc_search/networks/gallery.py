"""The gallery network: a residual CNN, from a small one for 32 px up to ResNet-101.

Basic and bottleneck blocks as in He et al., CVPR 2016 (table 1); a bottleneck's stride sits in its
first 1x1 convolution, as printed there, so ResNet-101 counts to the 7.6 GMAC of the CMP-NAS
paragon. A wide, shallow one suits small images.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from cmpc_base.errors import UnknownName
from cmpc_search.errors import BadArgument
from cmpc_search.networks.query import ConvNorm, EmbeddingLayer
from cmpc_search.space.layers import Convolution

__all__ = ["GALLERY_NETWORKS", "GalleryNetwork", "ResidualShape", "load_gallery_shape"]

BOTTLENECK_EXPANSION = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class ResidualShape:
    """Depth and width of a residual network.

    Attributes:
        input_size_px: Height and width of the input image.
        depths: Blocks of each stage; every stage but the first halves the map.
        width: Channels of the first stage (before the bottleneck's expansion); doubled each stage.
        is_bottleneck: 1x1-3x3-1x1 blocks instead of two 3x3.
        has_large_stem: The ImageNet stem, 7x7 stride 2 and a pool; else one 3x3.
        stem_stride: Stride of the 3x3 stem.
        has_layout_head: Pool the last map by a global depthwise convolution instead of a mean.
        embedding_dim: Length of the embedding.
    """

    name: str
    input_size_px: int
    depths: tuple[int, ...]
    width: int
    is_bottleneck: bool = False
    has_large_stem: bool = False
    stem_stride: int = 2
    has_layout_head: bool = False
    embedding_dim: int = 128

    def __post_init__(self) -> None:
        if not self.depths or min(self.depths) < 1 or self.width < 1:
            raise BadArgument(
                "a residual network must have at least one block a stage and a positive width, "
                f"got depths {self.depths} and width {self.width}"
            )

    @property
    def last_size_px(self) -> int:
        """Size of the map before pooling: each halving rounds up."""
        size = -(-self.input_size_px // (4 if self.has_large_stem else self.stem_stride))
        for _ in self.depths[1:]:
            size = -(-size // 2)
        return size


GALLERY_NETWORKS = {
    shape.name: shape
    for shape in (
        # Wide and shallow at half the resolution: on a CPU its MACs cost a quarter of the time of
        # the same number spent on narrow layers at full resolution.
        ResidualShape(
            name="residual-small",
            input_size_px=32,
            depths=(2, 2, 2),
            width=64,
            has_layout_head=True,
        ),
        ResidualShape(
            name="resnet18", input_size_px=224, depths=(2, 2, 2, 2), width=64, has_large_stem=True
        ),
        ResidualShape(
            name="resnet50",
            input_size_px=224,
            depths=(3, 4, 6, 3),
            width=64,
            is_bottleneck=True,
            has_large_stem=True,
        ),
        ResidualShape(
            name="resnet101",
            input_size_px=224,
            depths=(3, 4, 23, 3),
            width=64,
            is_bottleneck=True,
            has_large_stem=True,
        ),
    )
}


def load_gallery_shape(name: str) -> ResidualShape:
    """Return the preset ``name``.

    Raises:
        UnknownName: no preset is called ``name``.
    """
    if name not in GALLERY_NETWORKS:
        raise UnknownName.among(GALLERY_NETWORKS, "gallery network", name)
    return GALLERY_NETWORKS[name]


class ResidualBlock(nn.Module):
    """``relu(branch(x) + shortcut(x))``."""

    def __init__(self, branch: list[Convolution], shortcut: Convolution | None) -> None:
        super().__init__()
        self.branch = nn.Sequential(*map(ConvNorm, branch))
        self.shortcut = nn.Identity() if shortcut is None else ConvNorm(shortcut)
        last = self.branch[-1]
        assert isinstance(last, ConvNorm)
        nn.init.zeros_(last.norm.weight)  # starts as the identity (Goyal et al., 2017)

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(self.branch(features) + self.shortcut(features))


class GalleryNetwork(nn.Module):
    """Images float32 [N, 3, H, W] in [0, 1] -> unit embeddings float32 [N, D]."""

    def __init__(self, shape: ResidualShape) -> None:
        super().__init__()
        self.shape = shape
        large, small = (7, 2), (3, shape.stem_stride)
        kernel, stride = large if shape.has_large_stem else small
        self.stem = ConvNorm(Convolution(3, shape.width, kernel, stride))
        self.pool = nn.MaxPool2d(3, 2, 1) if shape.has_large_stem else nn.Identity()
        self.blocks = nn.Sequential()
        channels = shape.width
        for stage, depth in enumerate(shape.depths):
            for position in range(depth):
                stride = 2 if stage > 0 and position == 0 else 1
                block, channels = _residual_block(shape, channels, shape.width << stage, stride)
                self.blocks.append(block)
        layout = Convolution.over_whole_map(channels, shape.last_size_px)
        self.layout = ConvNorm(layout) if shape.has_layout_head else nn.Identity()
        self.embedding = EmbeddingLayer(channels, shape.embedding_dim)

    def forward(self, images: Tensor) -> Tensor:
        features = self.layout(self.blocks(self.pool(self.stem(images))))
        embeddings: Tensor = self.embedding(features.mean(dim=(2, 3)))
        return embeddings


def _residual_block(
    shape: ResidualShape, in_channels: int, width: int, stride: int
) -> tuple[ResidualBlock, int]:
    if shape.is_bottleneck:
        out_channels = width * BOTTLENECK_EXPANSION
        branch = [
            Convolution(in_channels, width, 1, stride),
            Convolution(width, width, 3),
            Convolution(width, out_channels, relu=False),
        ]
    else:
        out_channels = width
        branch = [
            Convolution(in_channels, width, 3, stride),
            Convolution(width, width, 3, relu=False),
        ]
    shortcut = None
    if stride != 1 or in_channels != out_channels:
        shortcut = Convolution(in_channels, out_channels, 1, stride, relu=False)
    return ResidualBlock(branch, shortcut), out_channels
