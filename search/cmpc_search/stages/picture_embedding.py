"""Embed pictures with the compiled network of a bundle. Needs no torch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmpc_base.printable import printable
from cmpc_cost_models.bundles.opening import open_bundle
from cmpc_cost_models.bundles.verification import embed_emulated
from cmpc_cost_models.targets.toolchain import find_toolchain
from cmpc_search.data import load_image
from cmpc_search.data.preprocessing import image_size_of
from cmpc_search.embeddings import Embeddings, gallery_network_of

__all__ = ["EmbedOrder", "embed_pictures"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbedOrder:
    """Which picture files to embed with which bundle.

    Attributes:
        is_emulated: Run a bundle for another processor under an emulator.
    """

    bundle: Path
    images: tuple[Path, ...]
    cache_dir: Path
    is_emulated: bool = False


def embed_pictures(order: EmbedOrder) -> Embeddings:
    """Return an embedding for each picture, named after its file.

    Raises:
        BadBundle: the bundle is damaged, or can't be run here.
        UnusablePicture: a file is no picture.
    """
    bundle = open_bundle(order.bundle, must_run_here=not order.is_emulated)
    size_px, crop_share = image_size_of(bundle), bundle.preprocessing.crop_share
    pixels = np.stack([load_image(image, size_px, crop_share) for image in order.images])
    if order.is_emulated:
        toolchain = find_toolchain(bundle.target, cache_dir=order.cache_dir)
        rows = embed_emulated(bundle, pixels, toolchain)
    else:
        rows = bundle.embed(pixels)
    return Embeddings(
        rows=rows,
        item_names=tuple(map(printable, order.images)),
        network_sha256=gallery_network_of(bundle),
    )
