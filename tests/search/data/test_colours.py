"""Every mode that Pillow opens, against values worked out by hand or with NumPy."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from cmpc_search.data import colours as colours_module
from cmpc_search.data import load_image
from cmpc_search.data.colours import CONVERTERS, on_white
from cmpc_search.errors import BadData

WHITE = [255, 255, 255]
HALF_BLACK = [127, 127, 127]  # 128 of 255 parts black, the rest white

PALETTE = [255, 0, 0, 0, 0, 255]


def of_bytes(mode: str, *values: int, size: tuple[int, int] = (1, 1)) -> Image.Image:
    return Image.frombytes(mode, size, bytes(values))


def with_palette(picture: Image.Image, **info: object) -> Image.Image:
    picture.putpalette(PALETTE)
    picture.info.update(info)
    return picture


def with_info(picture: Image.Image, **info: object) -> Image.Image:
    picture.info.update(info)
    return picture


MODES = {
    "1": (Image.new("1", (1, 1), 1), WHITE),
    "1 transparent": (with_info(Image.new("1", (1, 1), 0), transparency=0), WHITE),
    "L": (of_bytes("L", 7), [7, 7, 7]),
    "L transparent": (with_info(of_bytes("L", 7), transparency=7), WHITE),
    "LA": (of_bytes("LA", 0, 128), HALF_BLACK),
    "La": (of_bytes("La", 100, 200), [155, 155, 155]),  # 100 + (255 - 200)
    "P": (with_palette(of_bytes("P", 1)), [0, 0, 255]),
    "P one transparent": (with_palette(of_bytes("P", 1), transparency=1), WHITE),
    "P levels": (with_palette(of_bytes("P", 1), transparency=b"\xff\x80"), [127, 127, 255]),
    "P fewer levels": (with_palette(of_bytes("P", 1), transparency=b"\x80"), [0, 0, 255]),
    "PA": (with_palette(of_bytes("PA", 1, 128)), [127, 127, 255]),
    "RGB": (of_bytes("RGB", 1, 2, 3), [1, 2, 3]),
    "RGB transparent": (with_info(of_bytes("RGB", 1, 2, 3), transparency=(1, 2, 3)), WHITE),
    "RGBA": (of_bytes("RGBA", 0, 0, 0, 128), HALF_BLACK),
    "RGBa": (of_bytes("RGBa", 100, 0, 0, 200), [155, 55, 55]),
    "RGBX": (of_bytes("RGBX", 1, 2, 3, 0), [1, 2, 3]),
    "CMYK": (of_bytes("CMYK", 255, 0, 0, 0), [0, 255, 255]),
    "CMYK black": (of_bytes("CMYK", 0, 0, 0, 255), [0, 0, 0]),
    "YCbCr": (of_bytes("YCbCr", 76, 85, 255), [254, 0, 0]),  # red by ITU-R BT.601
    "HSV": (of_bytes("HSV", 0, 255, 255), [255, 0, 0]),
    "LAB": (of_bytes("LAB", 255, 0, 0), WHITE),
    "LAB grey": (of_bytes("LAB", 137, 0, 0), [128, 128, 128]),
    "I;16": (Image.fromarray(np.array([[0x1234]], "<u2")), [0x12] * 3),
    "I;16L": (of_bytes("I;16L", 0x34, 0x12), [0x12] * 3),
    "I;16B": (of_bytes("I;16B", 0x12, 0x34), [0x12] * 3),
    "I;16N": (Image.new("I;16N", (1, 1), 0x1234), [0x12] * 3),
    "F": (Image.fromarray(np.array([[0.4]], np.float32)), [102] * 3),
}


@pytest.mark.parametrize("name", MODES)
def test_a_pixel_of_each_mode_becomes_the_colour_it_stands_for(name):
    picture, expected = MODES[name]

    found = np.asarray(on_white(picture))

    np.testing.assert_allclose(found[0, 0].astype(int), expected, atol=1)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_a_picture_laid_on_white_in_bands_is_the_one_laid_at_once(monkeypatch, mode):
    noise = np.random.default_rng(0).integers(0, 256, (7, 5, 4), dtype=np.uint8)
    picture = Image.fromarray(noise).convert(mode)
    if mode == "P":
        picture.info["transparency"] = bytes(range(256))
    at_once = np.asarray(on_white(picture))
    monkeypatch.setattr(colours_module, "PIXELS_AT_ONCE", 10)

    np.testing.assert_array_equal(np.asarray(on_white(picture)), at_once)


def test_no_mode_of_pillow_is_without_a_rule():
    assert set(Image.MODES) <= set(CONVERTERS)


def as_png(depth: int, colour_type: int, row: bytes, transparent: bytes, *, width: int) -> bytes:
    """Return a PNG of one row, written by the book: Pillow writes none of these itself."""
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, 1, depth, colour_type, 0, 0, 0),
        b"tRNS": transparent,
        b"IDAT": zlib.compress(b"\0" + row),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
    )


@pytest.mark.parametrize(
    "content",
    [
        as_png(1, 0, b"\x40", b"\0\1", width=2),
        as_png(2, 0, b"\x10", b"\0\1", width=2),
        as_png(4, 0, b"\x05", b"\0\5", width=2),
        as_png(8, 0, b"\x00\xc8", b"\0\xc8", width=2),
        as_png(16, 0, b"\0\0\x12\x34", b"\x12\x34", width=2),
        as_png(8, 2, b"\0\0\0\1\2\3", b"\0\1\0\2\0\3", width=2),
        as_png(16, 2, b"\0\0\0\0\0\0\1\2\3\4\5\6", b"\1\2\3\4\5\6", width=2),
    ],
    ids=["grey 1", "grey 2", "grey 4", "grey 8", "grey 16", "colour 8", "colour 16"],
)
def test_the_transparent_colour_of_a_png_is_white_at_every_depth(content):
    np.testing.assert_array_equal(load_image(content, 2)[0], [[0, 0, 0], [255, 255, 255]])


def as_tiff(levels: np.ndarray, **tags: int) -> bytes:
    """Return a TIFF in which tags have other values than Pillow gives them."""
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "TIFF", tiffinfo={339: 3 if levels.dtype.kind == "f" else 1})
    content = file.getvalue()
    for name, value in tags.items():
        number = {"photometric": 262, "sample_format": 339}[name]
        place = content.index(struct.pack("<HHI", number, 3, 1)) + 8
        content = content[:place] + struct.pack("<H", value) + content[place + 2 :]
    return content


@pytest.mark.parametrize("photometric", [0, 1], ids=["white is zero", "black is zero"])
@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (np.array([[0, 0xFFFF], [0x1234, 0x8000]], np.uint16), [[0, 255], [0x12, 0x80]]),
        (np.array([[0, 1], [0.25, 0.5]], np.float32), [[0, 255], [64, 128]]),
    ],
    ids=["16 bits", "float"],
)
def test_a_deep_grey_tiff_is_scaled_whichever_end_is_white(levels, expected, photometric):
    wanted = np.array(expected) if photometric else 255 - np.array(expected)

    found = load_image(as_tiff(levels, photometric=photometric), 2)

    np.testing.assert_allclose(found[..., 0].astype(int), wanted, atol=1)


def test_twelve_bit_grey_uses_all_twelve():
    strip = bytes([0xFF, 0xF8, 0x00])  # two pixels of 12 bits: 4095 and 2048
    entries = [(256, 2), (257, 1), (258, 12), (259, 1), (262, 1), (273, 0), (278, 1), (279, 3)]
    offset = 8 + 2 + 12 * len(entries) + 4
    fields = [
        struct.pack("<HHIHH", tag, 3, 1, offset if tag == 273 else value, 0)
        for tag, value in entries
    ]
    content = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(fields)

    found = load_image(content + b"\0\0\0\0" + strip, 2)

    assert found[0, :, 0].tolist() == [255, 128]


@pytest.mark.parametrize(
    ("levels", "sample_format", "message"),
    [
        (np.array([[0, 2**31 - 1]], np.int32), 2, "with a sign .mode I. have no agreed black"),
        (np.array([[0, 2**32 - 1]], np.uint32), 1, "mode I .32-bit integers. have no agreed white"),
        (np.array([[0, 255]], np.uint8), 2, "with a sign .mode L. have no agreed black"),
        (np.array([[0, 255]], np.float32), 3, r"mode F .floats. must .* \[0, 1\], got 0 to 255"),
        (np.array([[0, np.nan]], np.float32), 3, r"mode F .floats. must lie in \[0, 1\]"),
    ],
    ids=["int32", "uint32", "int8", "float above 1", "not a number"],
)
def test_levels_without_an_agreed_white_are_refused_with_their_mode(levels, sample_format, message):
    with pytest.raises(BadData, match=message):
        load_image(as_tiff(levels, sample_format=sample_format), 2)


def test_a_deep_pgm_is_scaled_by_its_largest_level():
    content = b"P5 2 1 1023\n" + struct.pack(">HH", 1023, 512)

    np.testing.assert_array_equal(load_image(content, 2)[0, :, 0], [255, 128])


def test_a_colour_profile_changes_nothing():
    picture = Image.new("RGB", (1, 1), (200, 30, 60))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    file = io.BytesIO()
    picture.save(file, "PNG", icc_profile=profile)

    assert load_image(file.getvalue(), 1)[0, 0].tolist() == [200, 30, 60]
