"""Write torch networks as ONNX: the form in which a network crosses to the cost models.

Nothing is traced. Each module's layer list says what to write, batch norms folded, so an export
takes milliseconds. Tests hold the written graph to the torch network through ONNX Runtime.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from cmpc_cost_models.graphs.writing import GraphWriter, fold_batch_norm
from cmpc_search.networks.gallery import GalleryNetwork, ResidualBlock
from cmpc_search.networks.query import ChoiceBlock, ConvNorm, EmbeddingLayer, QueryNetwork

__all__ = ["export_gallery_network", "export_query_network"]


def export_query_network(network: QueryNetwork, path: Path) -> None:
    """Write ``network`` as ONNX: image float32 [1, 3, S, S] in [0, 1] -> unit embedding [1, D]."""
    size_px = network.layers.input_size_px
    writer = GraphWriter("query", (1, 3, size_px, size_px))
    features = _conv(writer, writer.input, network.stem)
    for block in network.blocks:
        assert isinstance(block, ChoiceBlock)
        features = _choice_block(writer, features, block)
    features = _conv(writer, features, network.head)
    if isinstance(network.layout, ConvNorm):
        features = _conv(writer, features, network.layout)
    _save(writer, features, network.embedding, path)


def export_gallery_network(network: GalleryNetwork, path: Path) -> None:
    """Write ``network`` as ONNX, with the inputs and outputs of `export_query_network`."""
    size_px = network.shape.input_size_px
    writer = GraphWriter("gallery", (1, 3, size_px, size_px))
    features = _conv(writer, writer.input, network.stem)
    if isinstance(network.pool, nn.MaxPool2d):
        features = writer.max_pool(features, kernel=3, stride=2, padding=1)
    for block in network.blocks:
        assert isinstance(block, ResidualBlock)
        branch, shortcut = features, features
        for convolution in block.branch:
            branch = _conv(writer, branch, convolution)
        if isinstance(block.shortcut, ConvNorm):
            shortcut = _conv(writer, features, block.shortcut)
        features = writer.relu(writer.add(branch, shortcut))
    if isinstance(network.layout, ConvNorm):
        features = _conv(writer, features, network.layout)
    _save(writer, features, network.embedding, path)


def _choice_block(writer: GraphWriter, features: str, block: ChoiceBlock) -> str:
    kept = read = features
    if block.stride == 1:
        kept = writer.slice_channels(features, start=0, step=2)
        read = writer.slice_channels(features, start=1, step=2)
    for convolution in block.shortcut:
        kept = _conv(writer, kept, convolution)
    for convolution in block.main:
        read = _conv(writer, read, convolution)
    return writer.concat([kept, read])


def _conv(writer: GraphWriter, features: str, convolution: nn.Module) -> str:
    assert isinstance(convolution, ConvNorm)
    layer, norm = convolution.layer, convolution.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    weight, bias = fold_batch_norm(
        _array(convolution.weight),
        (_array(norm.weight), _array(norm.bias)),
        (_array(norm.running_mean), _array(norm.running_var)),
        epsilon=norm.eps,
    )
    features = writer.conv(
        features,
        weight,
        bias,
        stride=layer.stride,
        padding=layer.padding,
        groups=layer.groups,
    )
    return writer.relu(features) if layer.relu else features


def _save(writer: GraphWriter, features: str, embedding: EmbeddingLayer, path: Path) -> None:
    weight, bias = embedding.folded()
    dense = writer.dense(writer.global_average_pool(features), _array(weight), _array(bias))
    writer.save(path, writer.l2_normalise(dense))


def _array(tensor: Tensor) -> npt.NDArray[np.float32]:
    array: npt.NDArray[np.float32] = tensor.detach().contiguous().numpy()
    return array
