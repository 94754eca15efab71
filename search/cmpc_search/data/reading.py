"""What is read of a source's pictures to prepare it: one row of bytes for each, in any order.

    digests     SHA-256 of a picture's pixels at one size for all; zeros of a broken one
    images      its pixels
    styles      its pixels in other styles, all pictures in the first, then all in the second

A row depends on the picture and the order alone. So rows may be read by any process, and again.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_search.data.sources.base import Picture, ReadPicture
from cmpc_search.errors import BadData

__all__ = ["CANONICAL_SIZE_PX", "Reading", "Sizing", "digest", "digests", "images", "styles"]

CANONICAL_SIZE_PX = 64
"""The size at which pictures are compared, whatever the size they are used at."""

DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizing:
    """How pictures are brought to one size, see `load_image`."""

    size_px: int
    crop_share: float | None = None

    def __str__(self) -> str:
        cropped = "" if self.crop_share is None else f"-crop{self.crop_share:g}"
        return f"{self.size_px}px{cropped}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """An order to read R rows; JSON values only, since other processes are given it too.

    Attributes:
        what: "digests", "images" or "styles".
        positions: Of the pictures in their source.
        num_styles: How often each picture is read.
    """

    what: str
    positions: Sequence[int]
    size_px: int
    crop_share: float | None = None
    num_styles: int = 1

    @property
    def num_rows(self) -> int:
        return len(self.positions) * self.num_styles

    @property
    def row_shape(self) -> tuple[int, ...]:
        return (DIGEST_BYTES,) if self.what == "digests" else (self.size_px, self.size_px, 3)

    def to_json(self) -> dict[str, Any]:
        """Return what `Reading` is made of, as JSON values."""
        return {**asdict(self), "positions": [*self.positions]}

    def row(self, pictures: Sequence[Picture], number: int) -> npt.NDArray[np.uint8]:
        """Read one row of a source's pictures.

        Raises:
            BadData: a picture that has a digest can't be read at this size.
        """
        style, place = divmod(number, len(self.positions))
        picture = pictures[self.positions[place]]
        if self.what == "digests":
            return _digest_row(picture)
        is_styled = self.what == "styles" and picture.styles
        return self._pixels(picture, picture.styles[style] if is_styled else picture.read)

    def _pixels(self, picture: Picture, read: ReadPicture) -> npt.NDArray[np.uint8]:
        try:
            return read(self.size_px, self.crop_share)
        except BadData as error:
            raise BadData(
                f"{picture.item_name} was read at {CANONICAL_SIZE_PX} px and must be readable at "
                f"{self.size_px} px too; take it out of the data set or choose another size: "
                f"{error}"
            ) from error


def digests(num_pictures: int) -> Reading:
    """Order the digests of all pictures of a source."""
    return Reading(what="digests", positions=range(num_pictures), size_px=CANONICAL_SIZE_PX)


def images(positions: Sequence[int], sizing: Sizing) -> Reading:
    """Order the pixels of some pictures."""
    return Reading(
        what="images",
        positions=positions,
        size_px=sizing.size_px,
        crop_share=sizing.crop_share,
    )


def styles(positions: Sequence[int], sizing: Sizing, num_styles: int) -> Reading:
    """Order the pixels of some pictures in each style; one without any has its own pixels."""
    return Reading(
        what="styles",
        positions=positions,
        size_px=sizing.size_px,
        crop_share=sizing.crop_share,
        num_styles=num_styles,
    )


def digest(picture: Picture) -> bytes:
    """Return the SHA-256 of a picture's pixels at the size at which pictures are compared.

    Raises:
        BadData: it is broken.
    """
    return hashlib.sha256(picture.read(CANONICAL_SIZE_PX).tobytes()).digest()


def _digest_row(picture: Picture) -> npt.NDArray[np.uint8]:
    try:
        return np.frombuffer(digest(picture), np.uint8)
    except BadData:
        return np.zeros(DIGEST_BYTES, np.uint8)
