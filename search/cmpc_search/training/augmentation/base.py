"""The promise of an augmentation: images in, a view of each out, drawn from its number alone.

All that is drawn is relative to the side of a view: one view looks the same at every size, so that
the gallery network and a query network may see it at theirs.

Shapes: N views, H pixels a side of an image, S of a view.
"""

from abc import ABC, abstractmethod

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from cmpc_search.training.draws import Draws

__all__ = ["Augmentation"]


class Augmentation(BaseModel, ABC):
    """How far views may differ from their image; its fields are what a user may set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    supersampling: int = Field(
        2,
        ge=1,
        le=4,
        description="Images are read and warped this many times as large as views, then shrunk.",
    )
    style_share: float = Field(
        0.0, ge=0, le=1, description="Share of views in another style, where the data have any."
    )

    @abstractmethod
    def __call__(self, images: Tensor, draws: Draws, size_px: int) -> Tensor:
        """float32 [N, 3, H, H] in [0, 1] -> one view of each, [N, 3, S, S] with S = size_px.

        A view depends on its image and its draws, to the last bit, and not on the others. Views
        are sharpest of images with H = supersampling * S.
        """
