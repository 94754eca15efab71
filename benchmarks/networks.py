"""Which networks do the latency benchmarks run? Four of the literature, and ours.

The four are written from their papers, batch norms folded, with weights drawn at a scale that keeps
the features' size; only their shapes matter to a latency. Ours are drawn from the search spaces
with a fixed seed.

    ResNet-18             He et al., CVPR 2016, table 1
    MobileNetV2           Sandler et al., CVPR 2018, table 2
    EfficientNet-lite0    Tan and Le, ICML 2019, table 1, without squeeze-and-excitation and with
                          ReLU6, as in the authors' repository (tpu/models/.../efficientnet/lite)
    ShuffleNetV2 1.0x     Ma et al., ECCV 2018, table 5
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cmpc_cost_models.graphs.writing import GraphWriter

if TYPE_CHECKING:
    from torch import nn

__all__ = ["PUBLISHED", "write_drawn_networks", "write_published_networks"]

NUM_CLASSES = 1000
NUM_DRAWN = 8
DRAWN_SPACES = (("spos", 224), ("small", 64))  # name, input size in pixels


class NetworkWriter:
    """A graph writer that draws the weights of its layers."""

    def __init__(self, name: str) -> None:
        self.graph = GraphWriter(name, (1, 3, 224, 224))
        self._rng = np.random.default_rng(0)

    def channels(self, x: str) -> int:
        return self.graph.shape(x)[1]

    def conv(self, x: str, channels: int, kernel: int, *, stride: int = 1, groups: int = 1) -> str:
        """Convolve with a bias, as a folded batch norm leaves one; padded to keep the size."""
        weight = self._weight(channels, self.channels(x) // groups, kernel, kernel)
        bias = self._rng.normal(0, 0.1, channels).astype(np.float32)
        padding = kernel // 2
        return self.graph.conv(x, weight, bias, stride=stride, padding=padding, groups=groups)

    def conv_relu(self, x: str, channels: int, kernel: int, *, stride: int = 1) -> str:
        return self.graph.relu(self.conv(x, channels, kernel, stride=stride))

    def depthwise(self, x: str, kernel: int, *, stride: int = 1) -> str:
        channels = self.channels(x)
        return self.conv(x, channels, kernel, stride=stride, groups=channels)

    def relu6(self, x: str) -> str:
        return self.graph.clip(x, 0.0, 6.0)

    def classify(self, x: str) -> str:
        """Average over the pixels and score the classes."""
        pooled = self.graph.global_average_pool(x)
        weight = self._weight(NUM_CLASSES, self.channels(x))
        return self.graph.dense(pooled, weight, np.zeros(NUM_CLASSES, np.float32))

    def _weight(self, *shape: int) -> npt.NDArray[np.float32]:
        fan_in = float(np.prod(shape[1:]))
        return self._rng.normal(0, np.sqrt(2 / fan_in), shape).astype(np.float32)


def resnet18(net: NetworkWriter) -> str:
    x = net.conv_relu(net.graph.input, 64, 7, stride=2)
    x = net.graph.max_pool(x, kernel=3, stride=2, padding=1)
    for stage, channels in enumerate((64, 128, 256, 512)):
        for block in range(2):
            stride = 2 if stage and not block else 1
            shortcut = net.conv(x, channels, 1, stride=stride) if stride == 2 else x
            branch = net.conv(net.conv_relu(x, channels, 3, stride=stride), channels, 3)
            x = net.graph.relu(net.graph.add(branch, shortcut))
    return net.classify(x)


def mobilenet_v2(net: NetworkWriter) -> str:
    x = net.relu6(net.conv(net.graph.input, 32, 3, stride=2))
    stages = (  # expansion, channels, repeats, stride
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    for expansion, channels, repeats, stride in stages:
        for block in range(repeats):
            x = _inverted_residual(net, x, (expansion, 3, channels, 1 if block else stride))
    return net.classify(net.relu6(net.conv(x, 1280, 1)))


def efficientnet_lite0(net: NetworkWriter) -> str:
    x = net.relu6(net.conv(net.graph.input, 32, 3, stride=2))
    stages = (  # expansion, kernel, channels, repeats, stride
        (1, 3, 16, 1, 1),
        (6, 3, 24, 2, 2),
        (6, 5, 40, 2, 2),
        (6, 3, 80, 3, 2),
        (6, 5, 112, 3, 1),
        (6, 5, 192, 4, 2),
        (6, 3, 320, 1, 1),
    )
    for expansion, kernel, channels, repeats, stride in stages:
        for block in range(repeats):
            x = _inverted_residual(net, x, (expansion, kernel, channels, 1 if block else stride))
    return net.classify(net.relu6(net.conv(x, 1280, 1)))


def _inverted_residual(net: NetworkWriter, x: str, shape: tuple[int, int, int, int]) -> str:
    """Widen, convolve each channel, narrow; ``shape``: expansion, kernel, channels, stride."""
    expansion, kernel, channels, stride = shape
    y = x if expansion == 1 else net.relu6(net.conv(x, net.channels(x) * expansion, 1))
    y = net.relu6(net.depthwise(y, kernel, stride=stride))
    y = net.conv(y, channels, 1)
    return net.graph.add(y, x) if stride == 1 and net.channels(x) == channels else y


def shufflenet_v2(net: NetworkWriter) -> str:
    x = net.conv_relu(net.graph.input, 24, 3, stride=2)
    x = net.graph.max_pool(x, kernel=3, stride=2, padding=1)
    for channels, repeats in ((116, 4), (232, 8), (464, 4)):
        for block in range(repeats):
            x = _shuffle_unit(net, x, channels // 2, is_first=block == 0)
    return net.classify(net.conv_relu(x, 1024, 1))


def _shuffle_unit(net: NetworkWriter, x: str, channels: int, *, is_first: bool) -> str:
    """The units of figure 3 (c), and (d) for the first of a stage."""
    if is_first:
        kept, read, stride = net.conv_relu(net.depthwise(x, 3, stride=2), channels, 1), x, 2
    else:
        (kept, read), stride = net.graph.split_channels(x, (channels, channels)), 1
    read = net.depthwise(net.conv_relu(read, channels, 1), 3, stride=stride)
    return net.graph.channel_shuffle(net.graph.concat([kept, net.conv_relu(read, channels, 1)]), 2)


PUBLISHED: dict[str, Callable[[NetworkWriter], str]] = {
    "resnet-18": resnet18,
    "mobilenet-v2": mobilenet_v2,
    "efficientnet-lite0": efficientnet_lite0,
    "shufflenet-v2": shufflenet_v2,
}


def write_published_networks(folder: Path) -> dict[str, Path]:
    """Write the four networks for images of 224 px to ``folder``; return their paths by name."""
    paths = {name: folder / f"{name}.onnx" for name in PUBLISHED}
    for name, path in paths.items():
        net = NetworkWriter(name)
        net.graph.save(path, PUBLISHED[name](net))
    return paths


def write_drawn_networks(folder: Path, count: int = NUM_DRAWN) -> dict[str, Path]:
    """Write ``count`` architectures of each of our spaces to ``folder``; return paths by name."""
    import torch

    from cmpc_search.networks.onnx_export import export_network
    from cmpc_search.networks.plan_network import PlanNetwork
    from cmpc_search.space.presets.catalogue import load_space

    paths = {}
    for name, size_px in DRAWN_SPACES:
        space, rng = load_space(name, input_size_px=size_px), random.Random(0)
        for index in range(count):
            torch.manual_seed(index)
            network = PlanNetwork(space.plan(space.sample(rng)))
            _set_norms(network)
            paths[f"{name}-{index}"] = folder / f"{name}-{index}.onnx"
            export_network(network, paths[f"{name}-{index}"])
    return paths


def _set_norms(network: "nn.Module") -> None:
    """Give the batch norms what training might: fresh ones would fold to no bias at all."""
    from torch import nn

    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean, 0, 0.1)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            if norm.affine:
                nn.init.normal_(norm.bias, 0, 0.1)
