"""The convolutions an architecture consists of, each with its shape: the one description
from which MACs are counted, torch modules are made, supernet weights are sliced and ONNX is
written. What is counted is therefore what runs.

The choice blocks are those of SPOS (Guo et al., ECCV 2020, section 4.1, and its official code):

    stride 1:  odd channels  -> main branch -\\
               even channels -----------------> concatenate
    stride 2:  all channels  -> main branch -\\
               all channels  -> shortcut -----> concatenate
"""

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["BlockLayers", "Convolution", "NetworkLayers", "block_layers", "main_roles"]

XCEPTION = 3
KERNELS = (3, 5, 7, 3)
SHUFFLE_ROLES = ("expand", "depthwise", "project")
XCEPTION_ROLES = ("before", "expand", "depthwise", "mix", "after", "project")


@dataclass(frozen=True, slots=True)
class Convolution:
    """A bias-free convolution, its batch norm, and a ReLU when ``relu`` holds.

    Its padding keeps the map's size (at stride 1), unless ``is_global`` holds: then the kernel
    covers the whole map and one pixel comes out.
    """

    in_channels: int
    out_channels: int
    kernel: int = 1
    stride: int = 1
    depthwise: bool = False
    relu: bool = True
    is_global: bool = False

    @classmethod
    def over_whole_map(cls, channels: int, size: int) -> "Convolution":
        """Return the global depthwise convolution of MobileFaceNets (Chen et al., 2018).

        A mean over the map forgets where things are; this weighs each place, channel by channel,
        for ``channels * size ** 2`` multiply-accumulates.
        """
        return cls(channels, channels, size, depthwise=True, relu=False, is_global=True)

    @property
    def padding(self) -> int:
        return 0 if self.is_global else self.kernel // 2

    @property
    def groups(self) -> int:
        return self.in_channels if self.depthwise else 1

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        in_channels = self.in_channels // self.groups
        return (self.out_channels, in_channels, self.kernel, self.kernel)

    def out_size(self, in_size: int) -> int:
        return (in_size + 2 * self.padding - self.kernel) // self.stride + 1

    def macs(self, in_size: int) -> int:
        """Multiply-accumulates of the convolution on an ``in_size`` x ``in_size`` input."""
        out_channels, in_channels, height, width = self.weight_shape
        return out_channels * in_channels * height * width * self.out_size(in_size) ** 2


@dataclass(frozen=True, slots=True)
class BlockLayers:
    """The two branches of one choice block; a stride-1 block has an empty shortcut."""

    stride: int
    main: tuple[Convolution, ...]
    shortcut: tuple[Convolution, ...]


@dataclass(frozen=True, slots=True)
class NetworkLayers:
    """A whole query network, from image to embedding.

    ``layout`` is the global convolution between head and embedding layer; None takes the mean.
    """

    input_size_px: int
    stem: Convolution
    blocks: tuple[BlockLayers, ...]
    head: Convolution
    layout: Convolution | None
    embedding_dim: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions and of the embedding layer, for one image.

        Batch norms, ReLUs and pooling are left out, as SPOS counts: the published networks of
        323 M and 328 M come out as 322.9 M and 327.9 M.
        """
        return sum(conv.macs(size) for conv, size in self._sized()) + self._dense

    @property
    def _dense(self) -> int:
        return self.head.out_channels * self.embedding_dim

    def _sized(self) -> Iterator[tuple[Convolution, int]]:
        """Every convolution with the size of the map it reads."""
        yield self.stem, self.input_size_px
        size = self.stem.out_size(self.input_size_px)
        for block in self.blocks:
            for branch in (block.shortcut, block.main):
                branch_size = size
                for conv in branch:
                    yield conv, branch_size
                    branch_size = conv.out_size(branch_size)
            size = branch_size
        yield self.head, size
        if self.layout is not None:
            yield self.layout, size


def block_layers(
    code: int, in_channels: int, out_channels: int, middle_channels: int, *, stride: int
) -> BlockLayers:
    """Return the convolutions of SPOS block ``code``.

    ``in_channels`` counts what enters the main branch: half the stage's width at stride 1, the
    whole previous width at stride 2. The main branch gives ``out_channels - in_channels``.
    """
    kernel = KERNELS[code]
    given = out_channels - in_channels
    if code == XCEPTION:
        main: tuple[Convolution, ...] = (
            Convolution(in_channels, in_channels, 3, stride, depthwise=True, relu=False),
            Convolution(in_channels, middle_channels),
            Convolution(middle_channels, middle_channels, 3, depthwise=True, relu=False),
            Convolution(middle_channels, middle_channels),
            Convolution(middle_channels, middle_channels, 3, depthwise=True, relu=False),
            Convolution(middle_channels, given),
        )
    else:
        main = (
            Convolution(in_channels, middle_channels),
            Convolution(
                middle_channels, middle_channels, kernel, stride, depthwise=True, relu=False
            ),
            Convolution(middle_channels, given),
        )
    shortcut = (
        Convolution(in_channels, in_channels, kernel, stride, depthwise=True, relu=False),
        Convolution(in_channels, in_channels),
    )
    return BlockLayers(stride=stride, main=main, shortcut=shortcut if stride == 2 else ())


def main_roles(code: int) -> tuple[str, ...]:
    """Name what each convolution of a main branch does, in order.

    The Xception-like unit does what a ShuffleNetV2 unit does, with three more convolutions.
    """
    return XCEPTION_ROLES if code == XCEPTION else SHUFFLE_ROLES
