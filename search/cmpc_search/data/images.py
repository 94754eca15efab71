"""Turn one picture of any kind into the uint8 square that networks see: THE preprocessing of cmpc.

Preparation, queries and bundles all call ``load_image``; a second way of doing this would be a
silent loss of accuracy. The contract, in order:

1. take the first frame and turn it upright (EXIF, if it can be read);
2. lay transparent pixels on white, convert to 8-bit RGB (``colours`` says how, mode by mode);
3. resize so that the longer side is ``size_px``, the aspect ratio kept;
4. centre on a white square (an odd pixel goes to the right, or below).

Where a gallery network wants its pictures cropped instead, steps 3 and 4 resize the square in their
middle whose side is ``crop_share`` of the shorter one; the rest is cut off.

The filter is Pillow's BILINEAR: shrinking widens its triangle by the scale, so nothing aliases, it
never overshoots (white stays white beside a black line, which Lanczos and bicubic break), and it
is the easiest of the good ones to repeat exactly on a device. SVGs are drawn at the size itself.
"""

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from cmpc_base.printable import printable
from cmpc_search.data.colours import WHITE, on_white, with_true_levels
from cmpc_search.data.picture_file import opened_picture, read_file, unavailable
from cmpc_search.data.svg import is_svg, svg_to_png
from cmpc_search.errors import BadArgument, BadData, FileUnavailable, UnusablePicture

__all__ = ["PREPROCESSING_VERSION", "RESIZE_FILTER", "Box", "load_image", "square_image"]

PREPROCESSING_VERSION = 2
"""Raised with any change of a pixel: prepared data of another version are not used."""

RESIZE_FILTER = Image.Resampling.BILINEAR

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels of the picture as it is stored; the last two outside."""

UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    struct.error,
    Image.DecompressionBombError,
)
"""What Pillow's decoders raise for damaged files, each format in its own way; and BadData."""

ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How to undo each value of EXIF's orientation."""


def load_image(
    picture: Path | str | bytes,
    size_px: int,
    crop_share: float | None = None,
    *,
    box: Box | None = None,
) -> npt.NDArray[np.uint8]:
    """Return a picture, given as a path or as the bytes of its file, as uint8 [S, S, 3].

    ``crop_share`` is the part of the shorter side that a square in the middle keeps; None pads.
    With a ``box`` the picture is what is in it.

    Raises:
        BadArgument: ``size_px`` is below one.
        BadData: it is no regular file; as UnusablePicture: no picture, damaged, or one that can't
            be read truly.
        FileUnavailable: the machine can't read the file now; nothing is known about it.
    """
    if size_px < 1:
        raise BadArgument(f"`1 <= size_px` must hold, got {size_px=}")
    shown = f"{len(picture)} bytes" if isinstance(picture, bytes) else printable(picture)
    content = picture if isinstance(picture, bytes) else read_file(Path(picture))
    try:
        return _decoded(content, size_px, crop_share, box)
    except FileUnavailable as error:
        raise FileUnavailable(f"{shown}: {error}") from error
    except MemoryError as error:
        raise unavailable(shown, error) from error
    except UNREADABLE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise unavailable(shown, error) from error
        raise UnusablePicture(shown, str(error)) from error


def _decoded(
    content: bytes, size_px: int, crop_share: float | None, box: Box | None
) -> npt.NDArray[np.uint8]:
    wanted_px = size_px if crop_share is None else round(size_px / crop_share)
    if is_svg(content):
        content = svg_to_png(content, wanted_px)
    with opened_picture(content, wanted_px=wanted_px) as picture:
        shown = with_true_levels(picture)
        return square_image(shown if box is None else _inside(shown, box), size_px, crop_share)


def _inside(picture: Image.Image, box: Box) -> Image.Image:
    left, top, right, bottom = box
    kept = (max(left, 0), max(top, 0), min(right, picture.width), min(bottom, picture.height))
    if kept[0] >= kept[2] or kept[1] >= kept[3]:
        raise BadData(f"its box {box} holds nothing of its {picture.width} x {picture.height} px")
    return picture.crop(kept)


def square_image(
    picture: Image.Image, size_px: int, crop_share: float | None = None
) -> npt.NDArray[np.uint8]:
    """Return an opened picture as uint8 [S, S, 3]: steps 1 to 4 of the contract."""
    picture.load()  # some formats tell the orientation after the pixels
    content = on_white(picture)
    orientation = _orientation(picture)
    if orientation in UPRIGHT:
        content = content.transpose(UPRIGHT[orientation])
    if crop_share is not None:
        return _middle(content, size_px, crop_share)
    longer = max(content.size)
    width, height = (max(1, round(side * size_px / longer)) for side in content.size)
    if content.size != (width, height):
        content = content.resize((width, height), RESIZE_FILTER)
    square = Image.new("RGB", (size_px, size_px), WHITE)
    square.paste(content, ((size_px - width) // 2, (size_px - height) // 2))
    return np.asarray(square, dtype=np.uint8)


def _middle(content: Image.Image, size_px: int, crop_share: float) -> npt.NDArray[np.uint8]:
    side = min(content.size) * crop_share
    left, top = ((length - side) / 2 for length in content.size)
    box = (left, top, left + side, top + side)
    return np.asarray(content.resize((size_px, size_px), RESIZE_FILTER, box), dtype=np.uint8)


def _orientation(picture: Image.Image) -> int | None:
    """Return EXIF's orientation; None where EXIF is damaged, which spoils no pixel."""
    try:
        return picture.getexif().get(ORIENTATION)
    except UNREADABLE:
        return None
