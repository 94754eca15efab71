"""What happens to an image before a network sees it: what a bundle says, and the last steps."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmpc_cost_models.errors import BadArgument

__all__ = ["Preprocessing"]

CHANNELS = {"RGB": (0, 1, 2), "BGR": (2, 1, 0)}  # where a network's channels are in an RGB image
LAYOUT = "NCHW"


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocessing:
    """What happens to an image before the network sees it; whoever embeds must do the same.

    The image is composed on ``background``, resized so that its longer side is ``size_px``, centred
    on a square of ``background`` (an odd pixel goes right, or below) and multiplied by ``scale``.
    With a ``crop_share`` the square in its middle whose side is that part of the shorter one is
    resized to ``size_px`` instead.
    ``resize_filter`` is Pillow's name of the filter. The network reads the channels in
    ``colour_order``, an RGB image's own or the reverse. ``version`` is that of the rules by which
    whoever wrote the bundle prepares images; None where it did not say.
    """

    size_px: int
    resize_filter: str
    background: tuple[int, int, int] = (255, 255, 255)
    colour_order: str = "RGB"
    layout: str = "NCHW"
    scale: float = 1 / 255
    crop_share: float | None = None
    version: int | None = None

    @property
    def problem(self) -> str | None:
        """What of this can't be done here, in words; None if all can."""
        if self.colour_order not in CHANNELS:
            return f"its colour order must be RGB or BGR, got {self.colour_order!r}"
        if self.layout != LAYOUT:
            return f"its layout must be {LAYOUT}, got {self.layout!r}"
        return None

    def as_input(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return one RGB image uint8 [H, W, 3] as what the network reads, float32 [1, 3, H, W].

        Raises:
            BadArgument: it is of another size or type.
        """
        if image.shape != (self.size_px, self.size_px, 3) or image.dtype != np.uint8:
            raise BadArgument(
                f"an image must be uint8 of shape {(self.size_px, self.size_px, 3)}, "
                f"got {image.dtype} of shape {image.shape}"
            )
        ordered = image[:, :, CHANNELS[self.colour_order]].transpose(2, 0, 1)[None]
        return np.ascontiguousarray(ordered.astype(np.float32) * np.float32(self.scale))
