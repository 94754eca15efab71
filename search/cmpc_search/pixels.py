"""Pictures as bytes, as they are kept, and as floats, as networks read them.

Shapes: N images, H x W pixels, S pixels a side.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["as_bytes", "resize_images", "to_bytes", "to_float"]


def to_float(images: Tensor) -> Tensor:
    """uint8 [N, H, W, 3] -> float32 [N, 3, H, W] in [0, 1], channels last in memory."""
    return images.permute(0, 3, 1, 2).to(torch.float32).div_(255)


def as_bytes(images: Tensor) -> Tensor:
    """float32 [N, 3, H, W] in [0, 1] -> uint8 [N, H, W, 3], rounded, on the same device."""
    return images.mul(255).round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def to_bytes(images: Tensor) -> npt.NDArray[np.uint8]:
    """float32 [N, 3, H, W] in [0, 1] -> uint8 [N, H, W, 3], rounded."""
    rounded: npt.NDArray[np.uint8] = as_bytes(images).numpy(force=True)
    return rounded


def resize_images(images: Tensor, size_px: int) -> Tensor:
    """float32 [N, 3, H, W] -> [N, 3, S, S] with S = size_px, averaged where it shrinks."""
    if images.shape[-1] == size_px:
        return images
    resized = functional.interpolate(
        images, (size_px, size_px), mode="bilinear", antialias=True, align_corners=False
    )
    return resized.clamp_(0, 1)
