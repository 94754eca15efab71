"""Does a bundle want its pictures prepared as they are prepared here?

There is one way of preparing pictures (``images``), and a bundle's manifest says which one its
network was trained with. Pictures prepared in another way would give embeddings that are a little
off, and nobody would see it.
"""

from cmpc_cost_models.bundles.opening import Bundle
from cmpc_cost_models.bundles.preprocessing import Preprocessing
from cmpc_cost_models.errors import BadBundle
from cmpc_search.data.colours import WHITE
from cmpc_search.data.images import PREPROCESSING_VERSION, RESIZE_FILTER

__all__ = ["image_size_of", "our_preprocessing"]


def our_preprocessing(size_px: int, crop_share: float | None = None) -> Preprocessing:
    """Return how pictures of this size are prepared here."""
    return Preprocessing(
        size_px=size_px,
        crop_share=crop_share,
        resize_filter=RESIZE_FILTER.name.lower(),
        background=WHITE,
        version=PREPROCESSING_VERSION,
    )


def image_size_of(bundle: Bundle) -> int:
    """Return the size in pixels of the square pictures that ``bundle`` embeds.

    Raises:
        BadBundle: it wants them prepared in another way than ``images`` does.
    """
    wanted = bundle.preprocessing
    ours = our_preprocessing(wanted.size_px)
    for name in ("resize_filter", "background", "version"):
        asked, given = getattr(wanted, name), getattr(ours, name)
        if asked != given and asked is not None:
            raise BadBundle(
                f"{bundle.folder} wants pictures prepared with {name} {asked!r}, and this cmpc has "
                f"{given!r}; build the bundle again with this cmpc, or use the one that built it"
            )
    return wanted.size_px
