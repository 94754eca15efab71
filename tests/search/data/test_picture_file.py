"""A picture's file: what is wrong with it, and what is wrong with the machine."""

import errno
import io
import os
import socket
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cmpc_search.data import load_image, load_image_set
from cmpc_search.data import picture_file as picture_file_module
from cmpc_search.errors import BadData, FileUnavailable


def encoded(picture: Image.Image, format_name: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, format_name, **options)
    return file.getvalue()


def failing(name: str, number: int):
    """Return a read_bytes that fails as a machine does, for files of one name."""
    real = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path.name == name:
            raise OSError(number, os.strerror(number), str(path))
        return real(path)

    return read_bytes


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ENOMEM, errno.ENOSPC])
def test_a_failing_machine_ends_the_preparation_and_nothing_is_remembered(
    photos, tmp_path, monkeypatch, number
):
    cache_dir = tmp_path / "cache"
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", failing("1.png", number))
        with pytest.raises(FileUnavailable, match=r"class00/1\.png can't be read now: .*repeat"):
            load_image_set(photos, size_px=8, cache_dir=cache_dir)
    assert not list((cache_dir / "data").glob("*/image_set.json"))

    image_set = load_image_set(photos, size_px=8, cache_dir=cache_dir)

    assert len(image_set) == 36
    assert image_set.drops.total == 0


def test_too_little_memory_is_no_verdict_about_a_picture(tmp_path, monkeypatch):
    def exhausted(*_: object) -> object:
        raise MemoryError

    path = tmp_path / "a.png"
    Image.new("RGB", (2, 2)).save(path)
    monkeypatch.setattr(Image.Image, "paste", exhausted)

    with pytest.raises(FileUnavailable, match=r"a\.png can't be read now: .*too little memory"):
        load_image(path, 8)


def test_a_missing_file_is_unavailable(tmp_path):
    with pytest.raises(FileUnavailable, match=r"gone\.png can't be read now: No such file"):
        load_image(tmp_path / "gone.png", 8)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (os.mkfifo, "a pipe"),
        (make_socket, "a socket"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
        (Path.mkdir, "a folder"),
    ],
)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, monkeypatch, make, kind):
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    make(Path("x.png"))
    told = []

    def load() -> None:
        try:
            load_image(Path("x.png"), 8)
        except BadData as error:
            told.append(str(error))

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    thread.join(timeout=5)

    assert told == [f"x.png must be a regular file, got {kind}"]


def test_a_name_that_is_no_text_is_written_with_its_bytes(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    path.write_bytes(b"no picture")

    with pytest.raises(BadData, match=r"caf\\xe9\.png is not a usable picture"):
        load_image(path, 8)


def hollow_png(width: int, height: int) -> bytes:
    """Return a PNG that has a size and a single row of pixels."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(1 + width // 8))),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def test_a_picture_above_the_bound_is_refused_with_its_size():
    with pytest.raises(BadData, match=r"400 megapixels, got 40000 x 10001 pixels, which are 400"):
        load_image(hollow_png(40_000, 10_001), 8)


def test_a_photograph_of_95_megapixels_is_read_and_pillows_limit_is_left_alone():
    limit = Image.MAX_IMAGE_PIXELS
    content = encoded(Image.new("L", (11_875, 8_000), 90), "JPEG")

    found = load_image(content, 8)

    np.testing.assert_allclose(found[1:-2], 90, atol=1)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_a_giant_jpeg_is_decoded_at_a_fraction_with_nearly_the_same_pixels(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    photograph = Image.fromarray(pixels).resize((640, 640), Image.Resampling.BICUBIC)
    content = encoded(photograph, "JPEG", quality=95)
    whole = load_image(content, 32)
    sizes = []
    monkeypatch.setattr(picture_file_module, "REDUCED_ABOVE_PIXELS", 100_000)
    real = Image.Image.load
    monkeypatch.setattr(Image.Image, "load", lambda self: sizes.append(self.size) or real(self))

    reduced = load_image(content, 32)

    assert sizes[0] == (80, 80)
    np.testing.assert_allclose(reduced.astype(int), whole.astype(int), atol=12)


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".ppm", ".pgm", ".jp2", ".tga", ".JPG"])
def test_what_pillow_reads_counts_as_a_picture(suffix):
    assert suffix.lower() in picture_file_module.readable_suffixes()


@pytest.mark.parametrize("suffix", [".eps", ".pdf", ".mpg", ".h5", ".fits", ".txt", ".heic"])
def test_what_is_no_picture_or_needs_a_program_does_not_count(suffix):
    assert suffix not in picture_file_module.readable_suffixes()


def test_postscript_under_the_name_of_a_picture_is_never_run():
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"

    with pytest.raises(BadData, match="format EPS is not one that cmpc reads"):
        load_image(content, 8)


PICTURE = Image.effect_noise((12, 9), 60)
FILES = [
    encoded(PICTURE, "PNG"),
    encoded(PICTURE, "GIF"),
    encoded(PICTURE, "JPEG"),
    encoded(PICTURE, "TIFF", compression="tiff_lzw"),
    encoded(PICTURE, "WEBP"),
    encoded(PICTURE, "BMP"),
    encoded(PICTURE, "PPM"),
    encoded(PICTURE.convert("RGB"), "JPEG2000"),
]


@given(
    content=st.sampled_from(FILES),
    damage=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=6),
    end=st.integers(0, 400),
)
def test_a_damaged_file_is_read_or_refused_and_nothing_else(content, damage, end):
    damaged = bytearray(content)
    for place, value in damage:
        damaged[place % len(damaged)] = value
    try:
        found = load_image(bytes(damaged[: max(end, len(damaged) - end)]), 8)
    except BadData:
        return
    assert found.shape == (8, 8, 3)
