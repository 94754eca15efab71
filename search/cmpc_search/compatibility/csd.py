"""Contextual similarity distillation: see the gallery around a view as the gallery network does.

Wu et al., CVPR 2022, "Contextual similarity distillation for asymmetric image retrieval". A view's
context are its similarities to gallery embeddings ``a``, the gallery network's own embedding ``g``
of the view first:

    loss = KL(softmax([g.g, g.a_1 ... g.a_K] / t_g) || softmax([q.g, q.a_1 ... q.a_K] / t))

The paper takes the K nearest neighbours of the view's image. Here the whole gallery side of the
training images is the context as long as it is small: a product with some thousand rows costs
nothing beside the network, and no row is forgotten.

With one temperature for both the loss is 0 at ``q = g`` and nowhere less.
"""

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from cmpc_search.compatibility.bank import MOST_NEIGHBOURS, GalleryBank
from cmpc_search.compatibility.base import Method, MethodSettings, Need, Step

__all__ = ["ContextualSimilarity", "CsdSettings"]

MOST_ROWS = 8192  # of a gallery that is looked at whole


class CsdSettings(MethodSettings):
    """What is set of contextual similarity distillation."""

    temperature: float = Field(0.1, gt=0, le=1e3, description="Of the query's similarities.")
    gallery_temperature: float = Field(0.1, gt=0, le=1e3, description="Of the gallery's own.")
    neighbours: int = Field(
        0,
        ge=0,
        le=MOST_NEIGHBOURS,
        description="Gallery rows in the context, the nearest to the view's image; "
        f"0: all up to {MOST_ROWS}, else {MOST_NEIGHBOURS}.",
    )


class ContextualSimilarity(Method):
    """KL divergence between the similarity distributions of both networks."""

    Settings = CsdSettings
    settings: CsdSettings
    needs = frozenset({Need.GALLERY_EMBEDDINGS})

    def prepare(self, bank: GalleryBank) -> None:
        rows, chosen = bank.gallery_rows, self.settings.neighbours
        self.is_whole = not chosen and len(rows) <= MOST_ROWS
        nearest = None if self.is_whole else bank.neighbours[:, : chosen or MOST_NEIGHBOURS]
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("nearest", nearest, persistent=False)

    def losses(self, embeddings: Tensor, step: Step) -> Mapping[str, Tensor]:
        aim = step.gallery_embeddings
        assert aim is not None  # they are among the needs
        found = self._context(embeddings, step) / self.settings.temperature
        wanted = self._context(aim, step) / self.settings.gallery_temperature
        return {
            "similarities": step.mean(
                functional.kl_div(
                    found.log_softmax(dim=1),
                    wanted.log_softmax(dim=1),
                    log_target=True,
                    reduction="none",
                ).sum(dim=1)
            )
        }

    def _context(self, embeddings: Tensor, step: Step) -> Tensor:
        """Return similarities float32 [N, 1 + K], those to the views' own embeddings first."""
        assert step.gallery_embeddings is not None
        own = (embeddings * step.gallery_embeddings).sum(dim=1, keepdim=True)
        rows = self.get_buffer("rows")
        if self.is_whole:
            return torch.cat([own, embeddings @ rows.T], dim=1)
        nearest = rows[self.get_buffer("nearest")[step.item_ids].long()]
        return torch.cat([own, torch.einsum("nd,nkd->nk", embeddings, nearest)], dim=1)
