"""Every architecture of a space in one set of shared weights (single path one-shot).

A block holds its four operators at their greatest width; an architecture reads one of them and the
first channels of its weights (Guo et al., ECCV 2020, sections 3.3 and 4.1). As there, batch norms
have no affine part and no running statistics while the supernet trains: they belong to one path
only, and are rebuilt for each candidate from training images.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from cmpc_search.networks.query import ConvNorm, QueryNetwork, split_channels
from cmpc_search.space.architecture import Architecture
from cmpc_search.space.layers import BlockLayers, Convolution
from cmpc_search.space.search_space import SearchSpace

__all__ = ["Supernet"]


class SharedConvolution(nn.Module):
    """The weight of a convolution at its greatest width; a layer reads the corner it needs."""

    def __init__(self, widest: Convolution) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(widest.weight_shape))
        nn.init.kaiming_normal_(self.weight, mode="fan_in" if widest.depthwise else "fan_out")

    def corner(self, layer: Convolution) -> Tensor:
        out_channels, in_channels, _, _ = layer.weight_shape
        return self.weight[:out_channels, :in_channels]

    def forward(self, features: Tensor, layer: Convolution) -> Tensor:
        features = functional.conv2d(
            features, self.corner(layer), None, layer.stride, layer.padding, 1, layer.groups
        )
        features = functional.batch_norm(features, None, None, training=True)
        return functional.relu(features) if layer.relu else features


class SharedBlock(nn.Module):
    """One operator of one block, at its greatest width."""

    def __init__(self, widest: BlockLayers) -> None:
        super().__init__()
        self.main = nn.ModuleList(map(SharedConvolution, widest.main))
        self.shortcut = nn.ModuleList(map(SharedConvolution, widest.shortcut))

    def forward(self, features: Tensor, layers: BlockLayers) -> Tensor:
        kept, read = split_channels(features, layers.stride)
        for convolution, layer in zip(self.shortcut, layers.shortcut, strict=True):
            kept = convolution(kept, layer)
        for convolution, layer in zip(self.main, layers.main, strict=True):
            read = convolution(read, layer)
        return torch.cat((kept, read), dim=1)


class Supernet(nn.Module):
    """Images float32 [N, 3, H, W] in [0, 1] and an architecture -> unit embeddings [N, D]."""

    def __init__(self, space: SearchSpace) -> None:
        super().__init__()
        self.space = space
        widest = max(space.width_choices)
        layers = [space.layers(space.uniform(code, widest)) for code in space.block_choices]
        self.stem = SharedConvolution(layers[0].stem)
        self.blocks = nn.ModuleList(
            nn.ModuleList(map(SharedBlock, operators))
            for operators in zip(*(network.blocks for network in layers), strict=True)
        )
        self.head = SharedConvolution(layers[0].head)
        self.layout = None if layers[0].layout is None else SharedConvolution(layers[0].layout)
        self.embedding = nn.Linear(space.head_channels, space.embedding_dim, bias=False)

    def forward(self, images: Tensor, architecture: Architecture) -> Tensor:
        layers = self.space.layers(architecture)
        features = self.stem(images, layers.stem)
        for position, block in enumerate(layers.blocks):
            features = self._operator(position, architecture)(features, block)
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
            _copy(self.stem, network.stem)
            _copy(self.head, network.head)
            if self.layout is not None:
                assert isinstance(network.layout, ConvNorm)
                _copy(self.layout, network.layout)
            network.embedding.linear.weight.copy_(self.embedding.weight)
            for position, block in enumerate(network.blocks):
                shared = self._operator(position, architecture)
                for branch in ("main", "shortcut"):
                    pairs = zip(getattr(shared, branch), getattr(block, branch), strict=True)
                    for source, destination in pairs:
                        _copy(source, destination)
        return network

    def _operator(self, position: int, architecture: Architecture) -> SharedBlock:
        operator = self.space.block_choices.index(architecture.blocks[position])
        block = self.blocks[position][operator]  # type: ignore[index]
        assert isinstance(block, SharedBlock)
        return block


def _copy(source: SharedConvolution, destination: ConvNorm) -> None:
    destination.weight.copy_(source.corner(destination.layer))
