"""Every architecture of a space in one set of shared weights (single path one-shot).

A block holds one weight for each role that a convolution may have in it, at the greatest width and
kernel; an architecture reads the part that it needs:

    channels   the first ones                        (Guo et al., ECCV 2020, section 4.1)
    kernels    3x3 and 5x5 are the middle of 7x7     (Once-for-All, Cai et al., ICLR 2020)
    operators  the Xception-like unit is the ShuffleNetV2 one with three convolutions more,
               which start as the identity           (Net2Net, Chen et al., ICLR 2016)

SPOS gives each operator weights of its own. It trains them for 120 epochs of ImageNet; in minutes
they don't come to agree on what the next block reads. As in SPOS, batch norms have no affine part
and no running statistics while the supernet trains: they belong to one path only, and are rebuilt
for each candidate from training images.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from cmpc_search.networks.query import ChoiceBlock, ConvNorm, QueryNetwork, split_channels
from cmpc_search.space import Architecture, Space
from cmpc_search.space.layers import BlockLayers, Convolution, main_roles
from cmpc_search.space.presets.shufflenet import ShuffleNetSpace

__all__ = ["Supernet"]

IDENTITY_ROLES = ("before", "mix", "after")
NOISE = 0.05  # how far from the identity these start, so that their channels differ


class SharedConvolution(nn.Module):
    """The weight of a convolution at its largest; a layer reads the part it needs."""

    def __init__(self, largest: Convolution) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(largest.weight_shape))
        nn.init.kaiming_normal_(self.weight, mode="fan_in" if largest.depthwise else "fan_out")

    def start_as_identity(self) -> None:
        """Pass every channel on as it is, but for a little noise."""
        out_channels, in_channels, _, _ = self.weight.shape
        groups = out_channels if in_channels == 1 else 1
        with torch.no_grad():
            identity = nn.init.dirac_(torch.empty_like(self.weight), groups)
            self.weight.mul_(NOISE).add_(identity)

    def part(self, layer: Convolution) -> Tensor:
        """Return the first channels and the middle of the kernel, as many as ``layer`` uses."""
        out_channels, in_channels, kernel, _ = layer.weight_shape
        margin = (self.weight.shape[2] - kernel) // 2
        middle = slice(margin, margin + kernel)
        return self.weight[:out_channels, :in_channels, middle, middle]

    def forward(self, features: Tensor, layer: Convolution) -> Tensor:
        features = functional.conv2d(
            features, self.part(layer), None, layer.stride, layer.padding, 1, layer.groups
        )
        features = functional.batch_norm(features, None, None, training=True)
        return functional.relu(features) if layer.relu else features


class SharedBlock(nn.Module):
    """All operators of one block; ``largest`` are their layers at the greatest width, by code."""

    def __init__(self, largest: dict[int, BlockLayers]) -> None:
        super().__init__()
        by_role: dict[str, Convolution] = {}
        for code, layers in largest.items():
            for role, layer in zip(main_roles(code), layers.main, strict=True):
                kept = by_role.get(role, layer)
                by_role[role] = max(kept, layer, key=lambda one: one.kernel)
        self.main = nn.ModuleDict(
            {role: SharedConvolution(layer) for role, layer in by_role.items()}
        )
        for role in IDENTITY_ROLES:
            if role in by_role and len(largest) > 1:
                self._convolution(role).start_as_identity()
        widest = max(largest.values(), key=lambda one: sum(conv.kernel for conv in one.shortcut))
        self.shortcut = nn.ModuleList(map(SharedConvolution, widest.shortcut))

    def main_of(self, code: int) -> list[SharedConvolution]:
        """Return the convolutions of an operator's main branch, in order."""
        return [self._convolution(role) for role in main_roles(code)]

    def forward(self, features: Tensor, code: int, layers: BlockLayers) -> Tensor:
        kept, read = split_channels(features, layers.stride)
        for convolution, layer in zip(self.shortcut, layers.shortcut, strict=True):
            kept = convolution(kept, layer)
        for convolution, layer in zip(self.main_of(code), layers.main, strict=True):
            read = convolution(read, layer)
        return torch.cat((kept, read), dim=1)

    def _convolution(self, role: str) -> SharedConvolution:
        found = self.main[role]
        assert isinstance(found, SharedConvolution)
        return found


class Supernet(nn.Module):
    """Images float32 [N, 3, H, W] in [0, 1] and an architecture -> unit embeddings [N, D]."""

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.space = space
        assert isinstance(space, ShuffleNetSpace)
        networks = {
            next(space.units(one))[0]: space.layers(one)
            for one in sorted(space.covering(), key=space.macs)
        }
        networks = {code: networks[code] for code in space.operators}
        any_network = next(iter(networks.values()))
        self.stem = SharedConvolution(any_network.stem)
        self.blocks = nn.ModuleList(
            SharedBlock({code: network.blocks[position] for code, network in networks.items()})
            for position in range(len(space.blocks))
        )
        self.head = SharedConvolution(any_network.head)
        layout = any_network.layout
        self.layout = None if layout is None else SharedConvolution(layout)
        self.embedding = nn.Linear(any_network.head.out_channels, space.embedding_dim, bias=False)

    def forward(self, images: Tensor, architecture: Architecture) -> Tensor:
        layers = self.space.layers(architecture)
        features = self.stem(images, layers.stem)
        for block, code, block_layers in zip(
            self.blocks, self._codes(architecture), layers.blocks, strict=True
        ):
            features = block(features, code, block_layers)
        features = self.head(features, layers.head)
        if self.layout is not None and layers.layout is not None:
            features = self.layout(features, layers.layout)
        pooled = self.embedding(features.mean(dim=(2, 3)))
        centred = functional.batch_norm(pooled, None, None, training=True)
        return functional.normalize(centred, dim=1)

    def extract(self, architecture: Architecture) -> QueryNetwork:
        """Return ``architecture`` as a network of its own, with a copy of its shared weights.

        Its batch norms are fresh: rebuild their statistics before use
        (`cmpc_search.training.recalibration`).
        """
        network = QueryNetwork(self.space.layers(architecture))
        with torch.no_grad():
            for shared, own in self._pairs(network, architecture):
                own.weight.copy_(shared.part(own.layer))
            network.embedding.linear.weight.copy_(self.embedding.weight)
        return network

    def _codes(self, architecture: Architecture) -> list[int]:
        assert isinstance(self.space, ShuffleNetSpace)
        return [code for code, _ in self.space.units(architecture)]

    def _pairs(
        self, network: QueryNetwork, architecture: Architecture
    ) -> Iterator[tuple[SharedConvolution, ConvNorm]]:
        """Pair each convolution of ``network`` with the one it shares weights with."""
        yield self.stem, network.stem
        yield self.head, network.head
        if self.layout is not None:
            assert isinstance(network.layout, ConvNorm)
            yield self.layout, network.layout
        for block, own, code in zip(
            self.blocks, network.blocks, self._codes(architecture), strict=True
        ):
            assert isinstance(block, SharedBlock)
            assert isinstance(own, ChoiceBlock)
            yield from _zip(block.main_of(code), own.main)
            yield from _zip(list(block.shortcut), own.shortcut)


def _zip(
    shared: Sequence[nn.Module], own: nn.Sequential
) -> Iterator[tuple[SharedConvolution, ConvNorm]]:
    for one, other in zip(shared, own, strict=True):
        assert isinstance(one, SharedConvolution)
        assert isinstance(other, ConvNorm)
        yield one, other
