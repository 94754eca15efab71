"""Resolution asymmetric metric learning: follow the gallery network over the views of an image.

Suma and Tolias, WACV 2023, "Large-to-small image resolution asymmetry in deep metric learning".
Both networks see the same views of an image, the query network smaller ones. Among the views of one
image, and of no other, similarities are kept beside the embeddings themselves:

    loss = mean (1 - q.g)^2 + l1 mean (S(q, g) - S(g, g))^2 + l2 mean (S(q, q) - S(g, g))^2

where both means go over pairs of different views. The loss is 0 at ``q = g`` and nowhere less. In a
batch that holds one view of each image the first term is all there is.
"""

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor

from cmpc_search.compatibility.base import Method, MethodSettings, Need, Step

__all__ = ["Raml", "RamlSettings"]


class RamlSettings(MethodSettings):
    """What is set of resolution asymmetric metric learning."""

    weight: float = Field(10.0, ge=0, le=1e6, description="Weight of its losses.")
    cross_weight: float = Field(
        0.75, ge=0, le=1e6, description="Weight of similarities between both networks' views."
    )
    own_weight: float = Field(
        0.68, ge=0, le=1e6, description="Weight of those between the query network's own."
    )


class Raml(Method):
    """Each view's own similarity, and those between the views of an image."""

    Settings = RamlSettings
    settings: RamlSettings
    needs = frozenset({Need.GALLERY_EMBEDDINGS})
    fewest_views = 2

    def losses(self, embeddings: Tensor, step: Step) -> Mapping[str, Tensor]:
        aim = step.gallery_embeddings
        assert aim is not None  # they are among the needs
        wanted, across, own = aim @ aim.T, embeddings @ aim.T, embeddings @ embeddings.T
        pairs = _pairs_of_an_image(step.item_ids)
        return {
            "absolute": step.mean((wanted - across).diagonal().square()),
            "cross": self.settings.cross_weight * _mean_square(across - wanted, pairs, step),
            "own": self.settings.own_weight * _mean_square(own - wanted, pairs, step),
        }


def _pairs_of_an_image(item_ids: Tensor) -> Tensor:
    """Tell which two views are different ones of one image, bool [N, N]."""
    itself = torch.eye(len(item_ids), dtype=torch.bool, device=item_ids.device)
    return (item_ids[:, None] == item_ids) & ~itself


def _mean_square(errors: Tensor, pairs: Tensor, step: Step) -> Tensor:
    """Return the mean over views, for each over its pairs; 0 where there are none."""
    counts = pairs.sum(dim=1)
    each = (errors.square() * pairs).sum(dim=1) / counts.clamp_min(1)
    return step.mean(each, counts > 0)
