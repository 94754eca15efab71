"""Get the bytes of a picture's file, and open them with Pillow, within bounds.

Two kinds of failure are kept apart: what is wrong with a file (BadData) stays wrong, what is wrong
with the machine (FileUnavailable) may be right again a minute later.
"""

import io
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from cmpc_base.printable import printable
from cmpc_search.errors import BadData, FileUnavailable

__all__ = ["MAX_FILE_BYTES", "MAX_PIXELS", "opened_picture", "read_file", "readable_suffixes"]

FORMATS = frozenset(
    {
        *("AVIF", "BMP", "DDS", "DIB", "GIF", "HEIF", "ICNS", "ICO", "JPEG", "JPEG2000", "MPO"),
        *("PCX", "PNG", "PPM", "PSD", "QOI", "SGI", "TGA", "TIFF", "WEBP"),
    }
)
"""Pillow's formats of pictures. Its others run a program (EPS), draw on Windows only (WMF) or hold
measurements without a white (FITS)."""

MAX_PIXELS = 400_000_000
"""The largest a camera gives (medium format, several shots).

Decoded it takes 1.6 GB, and twice that while a transparent one is laid on white.
"""

REDUCED_ABOVE_PIXELS = 89_478_485
"""Pillow's own bound: a larger JPEG is decoded at a fraction of its size, which saves memory."""

MAX_FILE_BYTES = 4 * 2**30
"""What MAX_PIXELS take uncompressed, at 16 bits a channel, and some room."""

# A good picture may have much text beside it (a retouching program's history): Pillow's bound for
# all of a file's text holds for a single one too.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY

KINDS_OF_FILE = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@cache
def readable_suffixes() -> frozenset[str]:
    """Return the suffixes of pictures that this installation reads, such as ".jpg"."""
    Image.init()
    known = Image.registered_extensions().items()
    return frozenset({suffix for suffix, name in known if name in FORMATS} | {".svg"})


def read_file(path: Path) -> bytes:
    """Return the content of a regular file.

    Raises:
        BadData: it is no regular file (reading a pipe would wait for ever), or far too large.
        FileUnavailable: the machine can't read it: it is missing, forbidden, or its disk fails.
    """
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            kind = next((name for test, name in KINDS_OF_FILE if test(facts.st_mode)), "no file")
            raise BadData(f"{printable(path)} must be a regular file, got {kind}")
        if facts.st_size > MAX_FILE_BYTES:
            raise BadData(
                f"{printable(path)} must have at most {MAX_FILE_BYTES / 2**30:.0f} GiB, "
                f"got {facts.st_size / 2**30:.1f} GiB"
            )
        return path.read_bytes()
    except (OSError, MemoryError) as error:
        raise unavailable(printable(path), error) from error


def unavailable(shown: str, error: OSError | MemoryError) -> FileUnavailable:
    """Return the error that says why the machine can't read a picture, and what to do."""
    reason = getattr(error, "strerror", None) or "there is too little memory"
    return FileUnavailable(
        f"{shown} can't be read now: {reason}. That says nothing about the picture in it, so cmpc "
        "stops here: put it right, or take the file out, and repeat the command"
    )


@contextmanager
def opened_picture(content: bytes, *, wanted_px: int) -> Iterator[Image.Image]:
    """Open a picture that may be as large as MAX_PIXELS, untidy metadata or not.

    Raises BadData, and whatever Pillow's decoders raise for damaged files.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with _open(content) as picture:
            _check_size(picture)
            if picture.width * picture.height > REDUCED_ABOVE_PIXELS:
                # Twice the size that is wanted, so that shrinking still has pixels to average.
                picture.draft(None, (2 * wanted_px, 2 * wanted_px))
            yield picture


_PILLOWS_LIMIT = threading.Lock()


def _open(content: bytes) -> Image.Image:
    """Open without Pillow's bound, which is one for the process and refuses good photographs."""
    with _PILLOWS_LIMIT:
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            return Image.open(io.BytesIO(content))
        except UnidentifiedImageError:  # its words are the address of an object
            raise BadData("its content has no format, or no kind of pixels, known here") from None
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _check_size(picture: Image.Image) -> None:
    if picture.format not in FORMATS:
        raise BadData(f"the format {picture.format} is not one that cmpc reads as a picture")
    num_pixels = picture.width * picture.height
    if num_pixels > MAX_PIXELS:
        raise BadData(
            f"it must have at most {MAX_PIXELS / 1e6:.0f} megapixels, got {picture.width} x "
            f"{picture.height} pixels, which are {num_pixels / 1e6:.0f} megapixels"
        )
