"""The query network of one architecture, as a torch module made from its layer list.

Shapes: N images, H and W pixels, D embedding length. Images are float32 in [0, 1]; embeddings have
unit length, so that an inner product is a cosine everywhere in cmpc.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from cmpc_search.space.layers import BlockLayers, Convolution, NetworkLayers

__all__ = ["ChoiceBlock", "ConvNorm", "EmbeddingLayer", "QueryNetwork", "split_channels"]


class ConvNorm(nn.Module):
    """A convolution, its batch norm, and a ReLU when the layer says so."""

    def __init__(self, layer: Convolution) -> None:
        super().__init__()
        self.layer = layer
        self.weight = nn.Parameter(torch.empty(layer.weight_shape))
        self.norm = nn.BatchNorm2d(layer.out_channels)
        nn.init.kaiming_normal_(self.weight, mode="fan_out" if not layer.depthwise else "fan_in")

    def forward(self, features: Tensor) -> Tensor:
        layer = self.layer
        features = functional.conv2d(
            features, self.weight, None, layer.stride, layer.padding, 1, layer.groups
        )
        features = self.norm(features)
        return functional.relu(features) if layer.relu else features


class ChoiceBlock(nn.Module):
    """One block with its choice made: a main branch, and a shortcut branch at stride 2."""

    def __init__(self, layers: BlockLayers) -> None:
        super().__init__()
        self.stride = layers.stride
        self.main = nn.Sequential(*map(ConvNorm, layers.main))
        self.shortcut = nn.Sequential(*map(ConvNorm, layers.shortcut))

    def forward(self, features: Tensor) -> Tensor:
        kept, read = split_channels(features, self.stride)
        return torch.cat((self.shortcut(kept), self.main(read)), dim=1)


class EmbeddingLayer(nn.Module):
    """Pooled features float32 [N, C] -> unit embeddings float32 [N, D].

    The batch norm between product and normalisation centres the embeddings: averages of ReLUs are
    all positive, so without it all images start out in one narrow cone and training is slow to
    leave it. Folded, it costs nothing but a bias.
    """

    def __init__(self, in_channels: int, embedding_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, embedding_dim, bias=False)
        self.norm = nn.BatchNorm1d(embedding_dim)

    def forward(self, features: Tensor) -> Tensor:
        return functional.normalize(self.norm(self.linear(features)), dim=1)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Return weight [D, C] and bias [D] of the layer with its batch norm in eval mode."""
        mean, variance = self.norm.running_mean, self.norm.running_var
        assert mean is not None
        assert variance is not None
        factor = self.norm.weight.detach() * (variance + self.norm.eps).rsqrt()
        bias = self.norm.bias.detach() - mean * factor
        return self.linear.weight.detach() * factor[:, None], bias


class QueryNetwork(nn.Module):
    """Images float32 [N, 3, H, W] in [0, 1] -> unit embeddings float32 [N, D].

    The macro structure of SPOS (Guo et al., ECCV 2020, table 1), its classifier replaced by a
    linear embedding layer.
    """

    def __init__(self, layers: NetworkLayers) -> None:
        super().__init__()
        self.layers = layers
        self.stem = ConvNorm(layers.stem)
        self.blocks = nn.Sequential(*map(ChoiceBlock, layers.blocks))
        self.head = ConvNorm(layers.head)
        self.layout = nn.Identity() if layers.layout is None else ConvNorm(layers.layout)
        self.embedding = EmbeddingLayer(layers.head.out_channels, layers.embedding_dim)

    def forward(self, images: Tensor) -> Tensor:
        features = self.layout(self.head(self.blocks(self.stem(images))))
        embeddings: Tensor = self.embedding(features.mean(dim=(2, 3)))
        return embeddings

    def batch_norms(self) -> Iterator[nn.BatchNorm1d | nn.BatchNorm2d]:
        kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
        return (module for module in self.modules() if isinstance(module, kinds))


def split_channels(features: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Return what the shortcut and what the main branch read.

    Taking even and odd channels apart is the channel shuffle of ShuffleNetV2 and its split in one.
    """
    if stride == 2:
        return features, features
    return features[:, 0::2], features[:, 1::2]
