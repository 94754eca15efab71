"""70,000 grey product photographs of ten classes: quick closed-set checks, and throughput.

The Debian package is read where it is installed; elsewhere apt fetches it into the cache, without
root. Closed set means that all ten classes are in every split: the published test images stay the
test split, and the last tenth of the training images validates.

The idx format: two zero bytes, the type (8 is uint8), the number of axes, each length as a
big-endian uint32, then the values.
"""

import gzip
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from cmpc_base.hashing import file_hash
from cmpc_search.data.fetching import Fetcher
from cmpc_search.data.images import square_image
from cmpc_search.data.sources.base import Picture, Source
from cmpc_search.errors import BadData

__all__ = ["FashionMnistSource", "read_idx"]

PACKAGE = "dataset-fashion-mnist"
INSTALLED = Path("/usr/share/datasets/fashion-mnist")
SHA256 = {  # of NAME-ubyte.gz
    "train-images-idx3": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}
FILES = {f"{stem}-ubyte.gz": sha256 for stem, sha256 in SHA256.items()}
CLASS_NAMES = (
    "t-shirt or top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
VALIDATION_SHARE = 0.1
IDX_UINT8 = 8


class FashionMnistSource(Source):
    """Fashion-MNIST as Debian packages it."""

    name = "fashion-mnist"
    licences = ("MIT (Copyright 2017 Zalando SE)",)

    def __init__(self, fetcher: Fetcher, *, installed: Path = INSTALLED) -> None:
        self.fetcher = fetcher
        self.fetched = fetcher.packages_folder / "fashion-mnist"
        self.installed = installed

    def version(self) -> str:
        return " ".join(SHA256.values())

    def pictures(self) -> Sequence[Picture]:
        folder = self._folder()
        training = _read_part(folder, "train")
        first_validation = round(len(training[0]) * (1 - VALIDATION_SHARE))
        splits = ["train"] * first_validation
        splits += ["validation"] * (len(training[0]) - first_validation)
        testing = _read_part(folder, "t10k")
        return [
            *_pictures("train", *training, splits),
            *_pictures("t10k", *testing, ["test"] * len(testing[0])),
        ]

    def _folder(self) -> Path:
        """Return a folder that holds the four files unharmed; fetch them if there is none."""
        for folder in (self.installed, self.fetched):
            if all(_is_whole(folder / name, sha256) for name, sha256 in FILES.items()):
                return folder
        members = {f"{INSTALLED.relative_to('/')}/{name}": seal for name, seal in FILES.items()}
        self.fetcher.debian_files(PACKAGE, members, into=self.fetched)
        return self.fetched


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Return the array of one gzipped idx file of uint8."""
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise BadData(f"{path} can't be unpacked: {error}") from error
    num_axes = content[3] if len(content) > 3 else 0
    start = 4 + 4 * num_axes
    if content[:3] != bytes([0, 0, IDX_UINT8]) or num_axes < 1 or len(content) < start:
        raise BadData(f"{path} must start as an idx file of uint8, got {content[:4].hex(' ')}")
    shape = tuple(int(length) for length in np.frombuffer(content, ">u4", num_axes, offset=4))
    values = np.frombuffer(content, np.uint8, offset=start)
    if values.size != (expected := int(np.prod(shape, dtype=object))):
        raise BadData(f"{path} must hold {expected} values for {shape}, got {values.size}")
    return values.reshape(shape)


def _is_whole(path: Path, sha256: str) -> bool:
    return path.is_file() and file_hash(path) == sha256


def _read_part(folder: Path, part: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    images = read_idx(folder / f"{part}-images-idx3-ubyte.gz")
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz")
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise BadData(
            f"{part} must have [N, H, W] images and [N] labels, "
            f"got {images.shape} and {labels.shape}"
        )
    if labels.size and labels.max() >= len(CLASS_NAMES):
        raise BadData(f"labels must be below {len(CLASS_NAMES)}, got {labels.max()}")
    return images, labels


def _pictures(
    part: str,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.uint8],
    splits: Sequence[str],
) -> list[Picture]:
    return [
        Picture(
            item_name=f"{part}/{position:05}",
            class_name=CLASS_NAMES[label],
            read=partial(_square, image),
            split=split,
        )
        for position, (image, label, split) in enumerate(zip(images, labels, splits, strict=True))
    ]


def _square(
    image: npt.NDArray[np.uint8], size_px: int, crop_share: float | None = None
) -> npt.NDArray[np.uint8]:
    return square_image(Image.fromarray(image), size_px, crop_share)
