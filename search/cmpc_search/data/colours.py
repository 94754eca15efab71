"""Turn the pixels of any of Pillow's modes into 8-bit RGB on white, or refuse them by name.

    1 L P RGB RGBX CMYK YCbCr LAB HSV   as Pillow converts them; a colour that the file names as
                                        transparent becomes white
    LA La PA RGBA RGBa                  laid on white
    I;16 and its byte orders            the upper 8 bits, after 12-bit grey is brought to 16
    F                                   [0, 1] becomes 0..255; other values are refused
    I                                   65535 is white in a PPM; elsewhere nothing says what is

Left to itself Pillow clips the last three to 0..255, which makes black or white squares of good
pictures. Colour profiles are ignored: numbers are taken as sRGB, on every machine alike.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

from cmpc_search.errors import BadData

__all__ = ["WHITE", "on_white", "with_true_levels"]

WHITE = (255, 255, 255)
LEVELS_16 = 65535
MODES_16 = ("I;16", "I;16L", "I;16B", "I;16N")

BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339  # tags of TIFF
WHITE_IS_ZERO, SIGNED = 0, 2

PIXELS_AT_ONCE = 2**22

GREY_BITS = {"L;2": 2, "L;4": 4}


def with_true_levels(picture: Image.Image) -> Image.Image:
    """Mend what Pillow takes over wrongly from a file; to be called before the pixels are loaded.

    A transparent colour comes in the file's depth, the pixels in 8 bits a channel.
    """
    colour = picture.info.get("transparency")
    rawmode = _rawmode(picture)
    if isinstance(colour, int) and rawmode in GREY_BITS:
        picture.info["transparency"] = colour * 255 // (2 ** GREY_BITS[rawmode] - 1)
    if isinstance(colour, tuple) and ";16" in rawmode:
        picture.info["transparency"] = tuple(level >> 8 for level in colour)
    return picture


def on_white(picture: Image.Image) -> Image.Image:
    """Return a picture as mode RGB, its transparent parts white.

    Raises:
        BadData: its mode has no agreed black and white.
    """
    if SIGNED in _tag(picture, SAMPLE_FORMAT):
        raise BadData(
            f"pixels with a sign (mode {picture.mode}) have no agreed black and white; "
            "save it with 8 or 16 bits and no sign"
        )
    if picture.mode not in CONVERTERS:
        raise BadData(f"pixels of mode {picture.mode} are not known")
    return CONVERTERS[picture.mode](picture)


def _opaque(picture: Image.Image) -> Image.Image:
    if picture.has_transparency_data:
        return _layered(picture)
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _layered(picture: Image.Image) -> Image.Image:
    """Lay a picture on white, band by band: at once, a large one would take four times its size."""
    flat = Image.new("RGB", picture.size, WHITE)
    num_rows = max(1, PIXELS_AT_ONCE // picture.width)
    for top in range(0, picture.height, num_rows):
        box = (0, top, picture.width, min(top + num_rows, picture.height))
        layer = picture.crop(box).convert("RGBA")
        white = Image.new("RGBA", layer.size, (*WHITE, 255))
        flat.paste(Image.alpha_composite(white, layer).convert("RGB"), box)
    return flat


def _premultiplied_grey(picture: Image.Image) -> Image.Image:
    return _layered(picture.convert("LA"))  # Pillow has no shorter way from La


def _grey16(picture: Image.Image) -> Image.Image:
    levels = np.asarray(picture)
    if _tag(picture, BITS_PER_SAMPLE) == (12,):
        levels = levels << 4 | levels >> 8
    if _tag(picture, PHOTOMETRIC) == (WHITE_IS_ZERO,):  # Pillow heeds it for 8 bits only
        levels = LEVELS_16 - levels
    grey = (levels >> 8).astype(np.uint8)
    transparent = picture.info.get("transparency")
    if transparent is not None:
        grey[levels == transparent] = 255
    return Image.fromarray(grey).convert("RGB")


def _grey32(picture: Image.Image) -> Image.Image:
    if picture.format != "PPM":
        raise BadData(
            "pixels of mode I (32-bit integers) have no agreed white; save it with 8 or 16 bits"
        )
    return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")


def _float(picture: Image.Image) -> Image.Image:
    levels = np.asarray(picture)
    if not np.all((levels >= 0) & (levels <= 1)):  # so that NaN is refused too
        raise BadData(
            "pixels of mode F (floats) must lie in [0, 1], "
            f"got {levels.min():g} to {levels.max():g}; scale them, or save it with 8 or 16 bits"
        )
    if _tag(picture, PHOTOMETRIC) == (WHITE_IS_ZERO,):
        levels = 1 - levels
    return Image.fromarray(np.rint(levels * 255).astype(np.uint8)).convert("RGB")


def _tag(picture: Image.Image, number: int) -> tuple[int, ...]:
    """Return a tag of a TIFF; () of anything else."""
    found: npt.ArrayLike = getattr(picture, "tag_v2", {}).get(number, ())
    return tuple(int(value) for value in np.ravel(found))


def _rawmode(picture: Image.Image) -> str:
    """Return how the file holds its pixels, in Pillow's words; "" if it does not say."""
    tile = getattr(picture, "tile", None)
    args = tile[0].args if tile else ""
    return args if isinstance(args, str) else str(args[0]) if args else ""


CONVERTERS: dict[str, Callable[[Image.Image], Image.Image]] = {
    **dict.fromkeys(("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"), _opaque),
    **dict.fromkeys(("LA", "PA", "RGBA", "RGBa"), _layered),
    **dict.fromkeys(MODES_16, _grey16),
    "La": _premultiplied_grey,
    "I": _grey32,
    "F": _float,
}
