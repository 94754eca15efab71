"""The one preprocessing, on pictures small enough to know every pixel."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from cmpc_search.data import load_image
from cmpc_search.errors import BadArgument, BadData

RED, BLACK, WHITE = (255, 0, 0), (0, 0, 0), (255, 255, 255)
SVG = b"""<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 4">
<rect width="8" height="4" fill="#ff0000"/></svg>"""
RED_PIXEL = Image.new("RGB", (1, 1), RED)
LOSSLESS = {"WEBP": {"lossless": True}}


def encoded(picture: Image.Image, format_name: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, format_name, **options)
    return file.getvalue()


def pixels_of(content: bytes, size_px: int) -> list[list[tuple[int, ...]]]:
    return [[tuple(int(v) for v in pixel) for pixel in row] for row in load_image(content, size_px)]


def test_a_transparent_pixel_becomes_white_and_a_half_transparent_one_is_mixed():
    picture = Image.new("RGBA", (2, 2), (*BLACK, 0))
    picture.putpixel((1, 0), (*RED, 255))
    picture.putpixel((0, 1), (*BLACK, 128))

    assert pixels_of(encoded(picture), 2) == [[WHITE, RED], [(127, 127, 127), WHITE]]


def test_a_transparent_colour_of_a_palette_becomes_white():
    picture = Image.new("P", (2, 1), 0)
    picture.putpalette([*RED, *BLACK])
    picture.putpixel((1, 0), 1)

    content = encoded(picture, transparency=0)

    assert pixels_of(content, 2)[0] == [WHITE, BLACK]


def test_a_wide_picture_is_centred_on_a_white_square():
    content = encoded(Image.new("RGB", (4, 2), RED))

    assert pixels_of(content, 4) == [[WHITE] * 4, [RED] * 4, [RED] * 4, [WHITE] * 4]


def test_the_odd_pixel_of_a_tall_picture_is_to_the_right():
    content = encoded(Image.new("RGB", (2, 3), RED))

    assert pixels_of(content, 3) == [[RED, RED, WHITE]] * 3


def test_a_crop_keeps_a_share_of_the_shorter_side_from_the_middle():
    columns = np.arange(12 * 8, dtype=np.uint8).reshape(8, 12)  # 12 wide, 8 tall
    content = encoded(Image.fromarray(columns))

    np.testing.assert_array_equal(load_image(content, 8, 1.0)[..., 0], columns[:, 2:10])
    np.testing.assert_array_equal(load_image(content, 4, 0.5)[..., 1], columns[2:6, 4:8])


def test_a_long_line_is_cropped_without_growing():
    content = encoded(Image.new("RGB", (60_000, 1), RED))

    np.testing.assert_array_equal(load_image(content, 2, 1.0), np.full((2, 2, 3), RED, np.uint8))


def test_a_line_keeps_at_least_one_pixel():
    content = encoded(Image.new("RGB", (100, 1), RED))

    assert pixels_of(content, 3) == [[WHITE] * 3, [RED] * 3, [WHITE] * 3]


def test_shrinking_averages_instead_of_skipping_pixels():
    checks = np.indices((64, 64)).sum(axis=0) % 2 * 255

    image = load_image(encoded(Image.fromarray(checks.astype(np.uint8))), 8)

    np.testing.assert_allclose(image, 127.5, atol=2)


def test_white_beside_black_is_never_darkened_away_from_the_edge():
    bars = np.full((16, 16, 3), 255, np.uint8)
    bars[:, :8] = 0

    image = load_image(encoded(Image.fromarray(bars)), 64)

    assert np.all(image[:, 40:] == 255)
    assert np.all(image[:, :24] == 0)


def test_a_photograph_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side: rotate by a quarter, clockwise
    picture = Image.new("RGB", (2, 2), WHITE)
    picture.putpixel((0, 0), BLACK)

    assert pixels_of(encoded(picture, exif=exif), 2) == [[WHITE, BLACK], [WHITE, WHITE]]


def test_sixteen_bit_grey_is_scaled_and_not_clipped():
    levels = np.array([[0, 128 * 256], [255 * 256, 65535]], np.uint16)

    image = load_image(encoded(Image.fromarray(levels)), 2)

    np.testing.assert_array_equal(image[..., 0], [[0, 128], [255, 255]])


def test_an_svg_is_drawn_at_the_size_on_white():
    assert pixels_of(SVG, 4) == [[WHITE] * 4, [RED] * 4, [RED] * 4, [WHITE] * 4]


def test_a_path_and_its_bytes_give_the_same_pixels(tmp_path):
    path = tmp_path / "half.png"
    path.write_bytes(encoded(Image.linear_gradient("L")))

    np.testing.assert_array_equal(load_image(path, 16), load_image(path.read_bytes(), 16))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no picture",
        SVG[:-20],
        b"<svg>\xff</svg>",
        encoded(Image.effect_noise((64, 64), 50))[:900],
        encoded(Image.effect_noise((64, 64), 50), "JPEG")[:900],
        encoded(RED_PIXEL).replace(struct.pack(">II", 1, 1), struct.pack(">II", 0, 1)),
        encoded(RED_PIXEL, "BMP").replace(struct.pack("<II", 1, 1), struct.pack("<II", 0, 1)),
    ],
    ids=[
        *("empty", "text", "half an svg", "svg in latin-1", "a third of a png", "half a jpeg"),
        *("a png without width", "a bmp without width"),
    ],
)
def test_a_broken_file_is_named(tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)

    with pytest.raises(BadData, match=r"broken\.png is not a usable picture"):
        load_image(path, 8)


@pytest.mark.parametrize("format_name", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("value", range(1, 9))
def test_every_orientation_is_undone_as_pillow_does(value, format_name):
    exif = Image.Exif()
    exif[0x0112] = value
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    options = LOSSLESS.get(format_name, {})
    content = encoded(Image.fromarray(pixels), format_name, exif=exif, **options)

    with Image.open(io.BytesIO(content)) as opened:
        upright = ImageOps.exif_transpose(opened)

    square = np.full((6, 6, 3), 255, np.uint8)
    left, top = (6 - upright.width) // 2, (6 - upright.height) // 2
    square[top : top + upright.height, left : left + upright.width] = np.asarray(upright)
    np.testing.assert_array_equal(load_image(content, 6), square)


def test_a_cmyk_photograph_has_the_colours_of_its_inks():
    inks = {(0, 255, 255, 0): RED, (0, 0, 0, 255): BLACK, (0, 0, 0, 0): WHITE}

    for ink, colour in inks.items():
        content = encoded(Image.new("CMYK", (8, 8), ink), "JPEG", quality=100)
        np.testing.assert_allclose(
            load_image(content, 8), np.broadcast_to(colour, (8, 8, 3)), atol=3
        )


def test_what_is_no_picture_is_refused_in_the_same_words_each_time():
    told = set()
    for _ in range(3):
        with pytest.raises(BadData) as refused:
            load_image(b"no picture at all", 8)
        told.add(str(refused.value))

    (words,) = told
    assert words.endswith("picture: its content has no format, or no kind of pixels, known here")


def test_a_picture_with_megabytes_of_text_beside_it_is_read():
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "x" * 3_000_000, zip=True)

    assert pixels_of(encoded(RED_PIXEL, pnginfo=info), 1) == [[RED]]


def test_damaged_exif_does_not_spoil_a_picture():
    picture = Image.new("RGB", (2, 2), RED)

    content = encoded(picture, "JPEG", exif=b"Exif\0\0no EXIF at all", quality=100)

    np.testing.assert_allclose(load_image(content, 2), np.broadcast_to(RED, (2, 2, 3)), atol=3)


@pytest.mark.parametrize("format_name", ["GIF", "PNG", "TIFF", "WEBP"])
def test_of_several_frames_the_first_counts(format_name):
    first, second = (Image.new("RGB", (2, 2), colour) for colour in (RED, WHITE))

    content = encoded(
        first, format_name, save_all=True, append_images=[second], **LOSSLESS.get(format_name, {})
    )

    assert pixels_of(content, 2) == [[RED, RED], [RED, RED]]


def test_a_size_below_one_is_refused():
    with pytest.raises(BadArgument, match="size_px=0"):
        load_image(SVG, 0)
