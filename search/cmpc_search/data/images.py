"""Turn one picture of any kind into the uint8 square that networks see: THE preprocessing of cmpc.

Preparation, queries and bundles all call ``load_image``; a second way of doing this would be a
silent loss of accuracy. The contract, in order:

1. turn the picture upright (EXIF) and take the first frame;
2. lay transparent pixels on white, convert to RGB;
3. resize so that the longer side is ``size_px``, the aspect ratio kept;
4. centre on a white square (an odd pixel goes to the right, or below).

The filter is Pillow's BILINEAR: shrinking widens its triangle by the scale, so nothing aliases, it
never overshoots (white stays white beside a black line, which Lanczos and bicubic break), and it
is the easiest of the good ones to repeat exactly on a device. SVGs are drawn at the size itself.
"""

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from cmpc_search.data.svg import is_svg, svg_to_png
from cmpc_search.errors import BadArgument, BadData

__all__ = [
    "IMAGE_SUFFIXES",
    "PREPROCESSING_VERSION",
    "RESIZE_FILTER",
    "load_image",
    "square_image",
]

PREPROCESSING_VERSION = 1
"""Raised with any change of a pixel: prepared data and bundles carry it."""

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".svg", ".tif", ".tiff", ".webp"}
)
"""What counts as a picture when a folder is listed."""

WHITE = (255, 255, 255)
RESIZE_FILTER = Image.Resampling.BILINEAR

UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    struct.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""What Pillow's decoders raise for damaged files, each format in its own way; and BadData."""


def load_image(picture: Path | str | bytes, size_px: int) -> npt.NDArray[np.uint8]:
    """Return a picture, given as a path or as the bytes of its file, as uint8 [S, S, 3]."""
    if size_px < 1:
        raise BadArgument(f"`1 <= size_px` must hold, got {size_px=}")
    shown = f"{len(picture)} bytes" if isinstance(picture, bytes) else str(picture)
    try:
        content = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
        if is_svg(content):
            content = svg_to_png(content, size_px)
        with _strict_about_size(), Image.open(io.BytesIO(content)) as opened:
            return square_image(opened, size_px)
    except UNREADABLE as error:
        raise BadData(f"{shown} is not a usable picture: {error}") from error


def square_image(picture: Image.Image, size_px: int) -> npt.NDArray[np.uint8]:
    """Return an opened picture as uint8 [S, S, 3]: steps 1 to 4 of the contract."""
    content = _on_white(ImageOps.exif_transpose(picture))
    longer = max(content.size)
    width, height = (max(1, round(side * size_px / longer)) for side in content.size)
    if content.size != (width, height):
        content = content.resize((width, height), RESIZE_FILTER)
    square = Image.new("RGB", (size_px, size_px), WHITE)
    square.paste(content, ((size_px - width) // 2, (size_px - height) // 2))
    return np.asarray(square, dtype=np.uint8)


@contextmanager
def _strict_about_size() -> Iterator[None]:
    """Refuse a picture whose size Pillow only warns about; be silent on untidy metadata."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):
        # Pillow clips 16-bit grey to 255 instead of scaling it.
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, (*WHITE, 255)), layer).convert("RGB")
